"""``gpus.toml`` as text: cut at its ``[[gpu]]`` lines, so that one card is read without parsing the file.

The first lines of a block have a fixed order, and a regular expression reads them; only the card that is asked for is
parsed as TOML and checked. Parsing everything takes twenty times as long, and every start of the program would pay
it.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache

from vram_advisor.sources.data_files import data_path
from vram_advisor.sources.gpu_names import key
from vram_advisor.sources.gpu_record import GpuRecord
from vram_advisor.units.bytes import MIB
from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import read_record

FILE = "gpus.toml"
_CUT = "\n[[gpu]]\n"
_QUOTED = re.compile(r'"([^"]*)"')
_NAMES = re.compile(r'id = (".*")\naliases = \[(.*)\]\n')
_HEAD = re.compile(
    r'id = "(.*)"\naliases = \[(.*)\]\nreported_names = \[(.*)\]\nname = "(.*)"\nvendor = "(.*)"\nform = "(.*)"\n'
    r"(?:vram_gib = (\d+)\n)?(?:vram_gib_options = \[(.*)\]\n)?(?:vram_reported_mib = (\d+)\n)?"
    r'launch = "(.*)"\nunified = (true|false)\n(?:devices = (\d+)\n)?'
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Head:
    """The first lines of a block, and the block."""

    id: str
    aliases: tuple[str, ...]
    reported_names: tuple[str, ...]
    name: str
    vendor: str
    form: str
    sizes_gib: tuple[int, ...]
    """Nominal sizes; empty where the GPU takes its share of the computer's memory."""
    has_options: bool
    reported_bytes: int | None
    launch: str
    unified: bool
    devices: int
    block: str

    def id_of(self, size_gib: int) -> str:
        """The id with the size of a chip that is sold with several."""
        return f"{self.id}-{size_gib}gb" if self.has_options or not self.sizes_gib else self.id


@cache
def heads() -> tuple[Head, ...]:
    """The heads of all blocks, in the order of the file."""
    return tuple(_head(block) for block in _blocks())


def by_key(name_key: str) -> Head | None:
    """The card one of whose names has this key (see ``gpu_names.key``)."""
    position = _index().get(name_key)
    return None if position is None else _head(_blocks()[position])


@cache
def record(head: Head) -> GpuRecord:
    """The whole card; parsed once, as a screen that asks again with every key looks the same cards up.

    Raises:
        BadInput: the block is not TOML, or a field is unknown, missing or of the wrong kind.
    """
    try:
        block = tomllib.loads(head.block)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{FILE}, [[gpu]] {head.id}: {error}.") from error
    return read_record(GpuRecord, block, f"{FILE}, [[gpu]] {head.id}")


@cache
def _blocks() -> tuple[str, ...]:
    _, *blocks = data_path(FILE).read_text(encoding="utf-8").split(_CUT)
    return tuple(blocks)


@cache
def _index() -> dict[str, int]:
    """The position of each block by the key of its id and of every alias."""
    found = ((position, _NAMES.match(block)) for position, block in enumerate(_blocks()))
    return {
        key(name): position
        for position, match in found
        if match
        for name in _QUOTED.findall(match.group(1) + match.group(2))
    }


@cache
def _head(block: str) -> Head:
    match = _HEAD.match(block)
    if match is None:
        first = block.split("\n", 1)[0]
        raise BadInput(
            f"{FILE}, [[gpu]] {first}: a block begins with id, aliases, reported_names, name, vendor, form, "
            "vram_gib, launch and unified, in this order."
        )
    gpu_id, aliases, reported, name, vendor, form, gib, options, mib, launch, unified, devices = match.groups()
    return Head(
        id=gpu_id,
        aliases=tuple(_QUOTED.findall(aliases)),
        reported_names=tuple(_QUOTED.findall(reported)),
        name=name,
        vendor=vendor,
        form=form,
        sizes_gib=tuple(int(size) for size in (options or gib or "").split(",") if size),
        has_options=options is not None,
        reported_bytes=None if mib is None else int(mib) * MIB,
        launch=launch,
        unified=unified == "true",
        devices=int(devices or 1),
        block=block,
    )
