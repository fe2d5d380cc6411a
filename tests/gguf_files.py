"""Writes small GGUF files: headers as llama.cpp writes them, the data a hole in the file."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vram_advisor.domain.ggml_types import GGML_TYPES

SCALARS = {
    "u8": (0, "B"), "i8": (1, "b"), "u16": (2, "H"), "i16": (3, "h"), "u32": (4, "I"), "i32": (5, "i"), "f32": (6, "f"),
    "bool": (7, "?"), "u64": (10, "Q"), "i64": (11, "q"), "f64": (12, "d"),
}  # fmt: skip
STRING, ARRAY = 8, 9
ALIGNMENT = 32


@dataclass(frozen=True)
class Typed:
    """A value of a type that is not the obvious one."""

    kind: str
    value: object


Tensors = Sequence[tuple[str, Sequence[int], str]]
"""Name, shape as PyTorch writes it (out, in), type."""


class Writer:
    """Bytes of a header in one version and byte order."""

    def __init__(self, version: int = 3, byte_order: str = "little") -> None:
        self.version, self.mark = version, "<" if byte_order == "little" else ">"
        self.wide = "I" if version == 1 else "Q"

    def pack(self, code: str, *values: object) -> bytes:
        return struct.pack(self.mark + code, *values)

    def text(self, text: str | bytes) -> bytes:
        data = text if isinstance(text, bytes) else text.encode()
        return self.pack(self.wide, len(data)) + data

    def value(self, value: object) -> bytes:
        if isinstance(value, Typed):
            number, code = SCALARS[value.kind]
            items = value.value
            if isinstance(items, list | tuple):
                head = self.pack("II", ARRAY, number) + self.pack(self.wide, len(items))
                return head + self.pack(f"{len(items)}{code}", *items)
            return self.pack("I", number) + self.pack(code, items)
        if isinstance(value, str | bytes):
            return self.pack("I", STRING) + self.text(value)
        if isinstance(value, list | tuple):
            if value and isinstance(value[0], str | bytes):
                head = self.pack("II", ARRAY, STRING) + self.pack(self.wide, len(value))
                return head + b"".join(self.text(item) for item in value)
            return self.value(Typed(obvious(value[0]) if value else "i32", value))
        return self.value(Typed(obvious(value), value))

    def header(self, metadata: Mapping[str, object], tensors: Tensors) -> tuple[bytes, int]:
        """The header and the bytes of data behind it [B]."""
        entries, place = [], 0
        for name, shape, kind in tensors:
            entries.append(
                self.text(name)
                + self.pack("I", len(shape))
                + self.pack(f"{len(shape)}{self.wide}", *reversed(shape))
                + self.pack("IQ", GGML_TYPES[kind].id, place)
            )
            place += -(-nbytes(shape, kind) // ALIGNMENT) * ALIGNMENT
        header = b"GGUF" + self.pack("I", self.version) + self.pack(f"2{self.wide}", len(tensors), len(metadata))
        header += b"".join(self.text(key) + self.value(value) for key, value in metadata.items()) + b"".join(entries)
        return header + bytes(-len(header) % ALIGNMENT), place


def obvious(value: object) -> str:
    """The type that llama.cpp's converter gives a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, float):
        return "f32"
    return "u32"


def nbytes(shape: Sequence[int], kind: str) -> int:
    """Bytes of a tensor by ggml's blocks [B]."""
    row = GGML_TYPES[kind]
    total = 1
    for size in shape:
        total *= size
    return total // row.block_size * row.block_bytes


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Tensors = (),
    version: int = 3,
    byte_order: str = "little",
) -> Path:
    """A file whose data is a hole: only the header is ever read."""
    header, data_bytes = Writer(version, byte_order).header(metadata, tensors)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data_bytes)
    return path
