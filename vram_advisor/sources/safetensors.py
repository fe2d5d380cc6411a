"""Headers of safetensors files: names, dtypes and shapes of a checkpoint, never its weights.

A file begins with the length of its header (8 bytes, little endian), then the header, a JSON object that gives for
each tensor its dtype, shape and place among the data (format: huggingface/safetensors README).
"""

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.checkpoint_model import compare, infer_model
from vram_advisor.sources.huggingface import CONFIG, folder_name, read_config
from vram_advisor.sources.json_files import expanded, parse_object, read_object, reason
from vram_advisor.sources.stored import Checkpoint, StoredTensor
from vram_advisor.units.errors import BadInput

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MAX_HEADER_BYTES = 32 << 20
"""Largest header that is read [B]: room for 200,000 tensors in one file; the format allows three times as much."""
MAX_INDEX_BYTES = 64 << 20
MAX_FILES = 4096
MAX_DIMENSION = 1 << 48
DTYPE_BITS: dict[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
}  # fmt: skip
"""Bits of one element."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies among the data of its file [B]."""

    begin: int
    end: int
    name: str


def read_model(path: str | Path) -> ModelSpec:
    """The model of a ``.safetensors`` file or of a folder of them.

    Where a ``config.json`` is beside them the dimensions come from it, the bytes from the headers, and a difference
    between the two is a note; without one the dimensions are inferred from Llama's names and shapes. Raises BadInput.
    """
    place = expanded(path)
    stored = read_checkpoint(place)
    folder = place if os.path.isdir(place) else place.parent
    if os.path.exists(folder / CONFIG):
        return compare(read_config(folder), stored)
    name = folder_name(folder) if folder == place else place.stem
    return replace(infer_model(stored, name, str(place)), source=str(place))


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Every tensor of a ``.safetensors`` file or of a folder of them, from the headers. Raises BadInput."""
    place = expanded(path)
    files = shards(place) if os.path.isdir(place) else (place,)
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for tensor in read_header(file):
            if tensor.name in tensors:
                raise BadInput(f"{file}: the tensor {tensor.name[:80]} is in another file of the folder too")
            tensors[tensor.name] = tensor
    if not tensors:
        raise BadInput(f"{place} holds no tensors")
    return Checkpoint(tuple(tensors.values()), tuple(file.name for file in files))


def shards(folder: Path) -> tuple[Path, ...]:
    """The files of a checkpoint: those of its index, else the single file, else all. Raises BadInput."""
    index = folder / INDEX
    if os.path.exists(index):
        names = indexed_files(index)
        for name in names:
            # unlike Path.is_file, os.path.isfile is False for a name that the system cannot have
            if not os.path.isfile(folder / name):
                raise BadInput(f"{index}: the file {name[:80]} is not in the folder")
        return tuple(folder / name for name in names)
    if os.path.exists(folder / SINGLE):
        return (folder / SINGLE,)
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        raise BadInput(f"{folder} has no .safetensors file")
    return files[:MAX_FILES]


def indexed_files(index: Path) -> tuple[str, ...]:
    """Names of the files in an index, sorted. Raises BadInput for anything but plain names."""
    places = read_object(index, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise BadInput(f"{index}: weight_map is missing, expected an object of tensor names and file names")
    names = set()
    for name in places.values():
        if not isinstance(name, str) or not name.endswith(".safetensors") or Path(name).name != name or "\\" in name:
            raise BadInput(f"{index}: weight_map names {str(name)[:80]!r}, expected a .safetensors file of the folder")
        names.add(name)
    if len(names) > MAX_FILES:
        raise BadInput(f"{index}: weight_map names {len(names):,} files, expected at most {MAX_FILES:,}")
    return tuple(sorted(names))


def read_header(file: Path) -> tuple[StoredTensor, ...]:
    """The tensors of one file. Raises BadInput that says what is wrong with it."""
    try:
        if not file.is_file():
            raise BadInput(f"{file} is not a file" if file.exists() else f"{file} is not there")
        size = file.stat().st_size
        if size < 8:
            raise BadInput(f"{file} has {size} bytes, expected a safetensors file with a header")
        with file.open("rb") as data:
            (length,) = struct.unpack("<Q", data.read(8))
            if length > MAX_HEADER_BYTES:
                raise BadInput(
                    f"{file} is not safetensors: it announces a header of {length:,} bytes, "
                    f"expected at most {MAX_HEADER_BYTES:,}"
                )
            if length > size - 8:
                raise BadInput(f"{file} is cut off: its header has {length:,} bytes, the file {size:,}")
            header = data.read(length)
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read: {reason(error)}") from None
    return parse_header(parse_object(header, f"{file}: header"), size - 8 - length, str(file))


def parse_header(header: Mapping[str, object], data_bytes: int, where: str) -> tuple[StoredTensor, ...]:
    """The tensors of a header whose file has ``data_bytes`` of data [B]. Raises BadInput."""
    tensors = []
    places = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        tensor, place = parse_entry(name, entry, data_bytes, where)
        tensors.append(tensor)
        places.append(place)
    check_places(places, data_bytes, where)
    return tuple(tensors)


def parse_entry(name: str, entry: object, data_bytes: int, where: str) -> tuple[StoredTensor, Place]:
    """One tensor of a header and its place. Raises BadInput."""
    title = f"{where}: tensor {name[:80]!r}"
    if not isinstance(entry, dict):
        raise BadInput(f"{title} is not an object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or len(dtype) > 32:
        raise BadInput(f"{title} has no dtype")
    if not isinstance(shape, list) or len(shape) > 16 or not all(is_size(item, MAX_DIMENSION) for item in shape):
        raise BadInput(f"{title} has no shape, expected a list of sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(is_size(item, data_bytes) for item in offsets):
        raise BadInput(f"{title} lies outside the file, which has {data_bytes:,} bytes of data: it may be cut off")
    begin, end = offsets
    if end < begin:
        raise BadInput(f"{title} ends before it begins")
    bits = DTYPE_BITS.get(dtype)
    if bits is not None and prod(shape) * bits != (end - begin) * 8:
        raise BadInput(f"{title} takes {end - begin:,} bytes, its shape and dtype ask for {prod(shape) * bits // 8:,}")
    return StoredTensor(name, dtype, tuple(shape), end - begin), Place(begin, end, name)


def check_places(places: Iterable[Place], data_bytes: int, where: str) -> None:
    """Tensors follow each other without a gap and fill the file, as the format wants. Raises BadInput."""
    position = 0
    for place in sorted(places, key=lambda item: (item.begin, item.end)):
        if place.begin != position:
            fault = "overlaps" if place.begin < position else "leaves a gap behind"
            raise BadInput(f"{where}: tensor {place.name[:80]!r} {fault} the one before it")
        position = place.end
    if position != data_bytes:
        raise BadInput(f"{where} has {data_bytes:,} bytes of data, its header describes {position:,}")


def is_size(value: object, limit: int) -> bool:
    """Whether a value is a whole number from 0 to the limit."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit
