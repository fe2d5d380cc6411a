"""Headers of GGUF files: metadata, and names, types and shapes of the tensors; never the weights, never the vocabulary.

A file is ``GGUF``, the version, the numbers of tensors and of keys; then the keys with their values; then name, shape,
type and place of each tensor; then, aligned, the data (format: ggml-org/ggml ``docs/gguf.md``). Version 1 counts
in 32 bits where versions 2 and 3 count in 64. A file is written in one byte order throughout, but for its first word.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from vram_advisor.domain.ggml_types import GGML_TYPES_BY_ID
from vram_advisor.sources.file_head import FileHead, head_of_file
from vram_advisor.sources.gguf_cursor import MAX_DIMENSIONS, Cursor, Value
from vram_advisor.sources.json_files import expanded
from vram_advisor.sources.stored import StoredTensor
from vram_advisor.units.errors import BadInput
from vram_advisor.units.grid import ceil_div

VERSIONS = (1, 2, 3)
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_NAME_BYTES = 512
MAX_ALIGNMENT = 1 << 20
ALIGNMENT = 32
"""Of the data where the file does not say it [B]."""
VOCABULARY = "tokenizer."
"""The keys that follow those of the model; the first long ones."""
OLDER = {b"lmgg": "GGML", b"fmgg": "GGMF", b"tjgg": "GGJT", b"algg": "GGLA"}
"""The first word of what llama.cpp wrote before GGUF."""
POINTER = b"version https://git-lfs"
ARCHITECTURE = re.compile(r"[A-Za-z0-9][\w.-]{0,79}", re.ASCII)
"""A name that can be shown to a person."""


@dataclass(frozen=True, slots=True, eq=False)
class GgufFile:
    """The header of one file."""

    name: str
    """Path or address."""
    version: int
    byte_order: Literal["little", "big"]
    metadata: Mapping[str, Value]
    tensors: tuple[StoredTensor, ...]
    """In the order of the file; shapes as PyTorch writes them (out, in), reversed from ggml's."""
    offsets: tuple[int, ...]
    """Where each tensor begins behind ``data_offset`` [B]."""
    file_bytes: int
    """Size of the file [B]."""
    data_offset: int
    """Where the data begin [B]."""

    def text(self, key: str) -> str | None:
        """A text of the metadata; None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """A whole number of the metadata; None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def architecture(self) -> str:
        """``general.architecture``; empty where it is missing."""
        return self.text("general.architecture") or ""

    @property
    def is_adapter(self) -> bool:
        """Whether the file holds a LoRA adapter."""
        return self.text("general.type") == "adapter" or "adapter.type" in self.metadata

    @property
    def is_projector(self) -> bool:
        """Whether the file holds the vision or audio tower of a model (mmproj)."""
        return self.architecture == "clip" or self.text("general.type") == "mmproj"


def read_gguf(path: str | Path) -> GgufFile:
    """The header of one file on disk. Raises BadInput that says what is wrong with it."""
    with head_of_file(expanded(path)) as head:
        return parse_gguf(head)


def peek_gguf(path: str | Path) -> Mapping[str, Value]:
    """The metadata in front of the vocabulary, from the first kilobytes of a file on disk. Raises BadInput."""
    with head_of_file(expanded(path)) as head:
        cursor, _, keys = begin(head)
        found: dict[str, Value] = {}
        for _ in range(keys):
            key = cursor.name(MAX_NAME_BYTES, "key")
            if key.startswith(VOCABULARY):
                break
            found[key] = cursor.value(key)
        return MappingProxyType(found)


def parse_gguf(head: FileHead) -> GgufFile:
    """The header in the beginning of a file. Raises BadInput."""
    if head.at_hand:
        try:
            return parse(head, leaps=True)
        except BadInput:
            # Nothing is refused for where a leap came down: the same again, text by text.
            head.rewind()
    return parse(head)


def parse(head: FileHead, leaps: bool = False) -> GgufFile:
    """The header, with leaps over long lists or without. Raises BadInput."""
    cursor, count, keys = begin(head, leaps)
    metadata = dict(pairs(cursor, keys))
    tensors, offsets = [], []
    for _ in range(count):
        tensor, offset = tensor_info(cursor)
        tensors.append(tensor)
        offsets.append(offset)
    alignment = data_alignment(metadata, head.where)
    data_offset = ceil_div(cursor.position, alignment) * alignment
    check_places(tensors, offsets, head, data_offset, alignment, cursor.leapt)
    return GgufFile(
        name=head.where,
        version=cursor.version,
        byte_order=cursor.byte_order,
        metadata=MappingProxyType(metadata),
        tensors=tuple(tensors),
        offsets=tuple(offsets),
        file_bytes=head.size,
        data_offset=data_offset,
    )


def begin(head: FileHead, leaps: bool = False) -> tuple[Cursor, int, int]:
    """The cursor behind the counts, the number of tensors, the number of keys. Raises BadInput."""
    where = head.where
    head.need(min(head.size, len(POINTER)))
    magic = bytes(head.data[:4])
    if magic in OLDER:
        raise BadInput(
            f"{where} is a {OLDER[magic]} file, a format older than GGUF that llama.cpp stopped reading in August 2023: "
            "get the model as GGUF"
        )
    if head.data.startswith(POINTER):
        raise BadInput(f"{where} is a pointer of Git LFS, not the model: run git lfs pull")
    if magic != b"GGUF":
        raise BadInput(f"{where} is not a GGUF file: it begins with {magic!r}, expected b'GGUF'")
    head.need(8)
    cursor = next((made for made in cursors(head, leaps) if made.version in VERSIONS), None)
    if cursor is None:
        (version,) = struct.unpack_from("<I", head.data, 4)
        raise BadInput(f"{where} is GGUF of version {version:,}, expected 1, 2 or 3")
    tensors, keys = cursor.count(), cursor.count()
    for number, most, what in ((tensors, MAX_TENSORS, "tensors"), (keys, MAX_KEYS, "keys")):
        if number > most:
            raise BadInput(f"{where} announces {number:,} {what}, expected at most {most:,}")
    return cursor, tensors, keys


def cursors(head: FileHead, leaps: bool) -> Iterator[Cursor]:
    """The file read in either byte order."""
    for byte_order, mark in (("little", "<"), ("big", ">")):
        (version,) = struct.unpack_from(f"{mark}I", head.data, 4)
        yield Cursor(head, 8, version, "little" if byte_order == "little" else "big", leaps)


def pairs(cursor: Cursor, count: int) -> Iterator[tuple[str, Value]]:
    """Keys and values in their order. Raises BadInput."""
    seen: set[str] = set()
    for _ in range(count):
        key = cursor.name(MAX_NAME_BYTES, "key")
        if key in seen:
            raise BadInput(f"{cursor.where}: the key {key[:80]!r} is there twice")
        seen.add(key)
        yield key, cursor.value(key)


def tensor_info(cursor: Cursor) -> tuple[StoredTensor, int]:
    """One tensor and where it begins in the data. Raises BadInput."""
    name, (*shape, number, offset) = cursor.tensor(MAX_NAME_BYTES) or tensor_by_parts(cursor)
    kind = GGML_TYPES_BY_ID.get(number)
    if kind is None:
        raise BadInput(f"{titled(cursor, name)} has the type {number:,}, which is none of llama.cpp's")
    row = shape[0] if shape else 1
    if row % kind.block_size:
        raise BadInput(
            f"{titled(cursor, name)} has rows of {row:,}, expected a multiple of {kind.block_size} for {kind.name}"
        )
    nbytes = kind.row_bytes(row) * prod(shape[1:])
    return StoredTensor(name, kind.name, tuple(shape[::-1]), nbytes), offset


def tensor_by_parts(cursor: Cursor) -> tuple[str, tuple[int, ...]]:
    """Name, and shape, type and place of a tensor. Raises BadInput."""
    name = cursor.name(MAX_NAME_BYTES, "tensor")
    dimensions = cursor.word()
    if dimensions > MAX_DIMENSIONS:
        raise BadInput(f"{titled(cursor, name)} has {dimensions:,} dimensions, expected at most {MAX_DIMENSIONS}")
    return name, cursor.numbers(cursor.shapes[dimensions])


def data_alignment(metadata: Mapping[str, Value], where: str) -> int:
    """To what the data and each tensor in it are aligned [B]. Raises BadInput."""
    value = metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(value, int) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise BadInput(f"{where}: general.alignment is {str(value)[:40]}, expected a power of two")
    return value


def check_places(
    tensors: list[StoredTensor], offsets: list[int], head: FileHead, data_offset: int, alignment: int, gapless: bool
) -> None:
    """Names are unique; tensors lie apart from each other, aligned, inside the file. Raises BadInput.

    Args:
        gapless: they also follow each other without a gap, as in every file that llama.cpp writes.
    """
    names: set[str] = set()
    end = 0
    for tensor, offset in sorted(zip(tensors, offsets, strict=True), key=lambda pair: (pair[1], pair[0].nbytes)):
        if tensor.name in names:
            raise BadInput(f"{titled(head, tensor.name)} is there twice")
        names.add(tensor.name)
        if offset % alignment:
            raise BadInput(f"{titled(head, tensor.name)} begins at {offset:,}, expected a multiple of {alignment}")
        if offset < end and tensor.nbytes:
            raise BadInput(f"{titled(head, tensor.name)} overlaps the one before it")
        if gapless and offset != ceil_div(end, alignment) * alignment:
            raise BadInput(f"{titled(head, tensor.name)} does not follow the one before it")
        end = max(end, offset + tensor.nbytes)
    if tensors and data_offset + end > head.size:
        raise BadInput(
            f"{head.where} is cut off: its tensors end at {data_offset + end:,} bytes, the file has {head.size:,}"
        )


def titled(place: FileHead | Cursor, name: str) -> str:
    """A tensor in messages."""
    return f"{place.where}: tensor {name[:80]!r}"
