"""The files of one GGUF model: one, or parts named NAME-00001-of-00003.gguf of which only the first has the metadata.

Source: llama.cpp v0.5.0 ``src/llama.cpp`` (llama_split_path), ``src/llama-model-loader.cpp`` (the checks of the parts).
"""

import re
from collections.abc import Callable
from pathlib import Path

from vram_advisor.sources.gguf import GgufFile, read_gguf
from vram_advisor.sources.json_files import expanded
from vram_advisor.units.errors import BadInput

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE | re.DOTALL)
MAX_PARTS = 1024


def stem_of(name: str) -> str:
    """Name of a file without the number of its part and the ending."""
    match = PART.fullmatch(name)
    return match["stem"] if match else re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE)


def part_names(name: str) -> tuple[str, ...]:
    """Names of all parts of the model that a file belongs to; the name alone where it is whole. Raises BadInput."""
    match = PART.fullmatch(name)
    if match is None:
        return (name,)
    count = int(match["count"])
    if not 0 < int(match["number"]) <= count:
        raise BadInput(f"{name[:120]} is part {match['number']} of {match['count']}, which cannot be")
    if count > MAX_PARTS:
        raise BadInput(f"{name[:120]} is one of {count:,} parts, expected at most {MAX_PARTS:,}")
    return tuple(f"{match['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))


def read_parts(path: str | Path) -> tuple[GgufFile, ...]:
    """Headers of all files of the model that a file on disk belongs to, the first in front. Raises BadInput."""
    place = expanded(path)
    return collect(place.name, lambda name: read_gguf(place.parent / name))


def collect(name: str, read: Callable[[str], GgufFile]) -> tuple[GgufFile, ...]:
    """Headers of all files of the model that the file of a name belongs to. Raises BadInput."""
    names = part_names(name)
    files = []
    for number, part in enumerate(names):
        file = read(part)
        check_part(file, number, len(names))
        files.append(file)
    check_tensors(files)
    return tuple(files)


def check_part(file: GgufFile, number: int, count: int) -> None:
    """The file says of itself what its name says. Raises BadInput."""
    said = file.integer("split.count") or 1
    if said != count:
        hint = "" if count > 1 else f"; the parts are named NAME-00001-of-{said:05d}.gguf"
        raise BadInput(f"{file.name} is one of {said:,} parts by its metadata, {count:,} by its name{hint}")
    place = file.integer("split.no")
    if count > 1 and place is not None and place != number:
        raise BadInput(f"{file.name} is part {place + 1:,} by its metadata, {number + 1:,} by its name")


def check_tensors(files: list[GgufFile]) -> None:
    """No tensor is in two parts, and all are there. Raises BadInput."""
    if len(files) == 1:
        return
    homes: dict[str, str] = {}
    for file in files:
        for tensor in file.tensors:
            if tensor.name in homes:
                raise BadInput(f"{file.name}: tensor {tensor.name[:80]!r} is in {homes[tensor.name]} too")
            homes[tensor.name] = file.name
    announced = files[0].integer("split.tensors.count")
    if announced is not None and announced != len(homes):
        raise BadInput(f"{files[0].name} announces {announced:,} tensors, its {len(files)} parts hold {len(homes):,}")
