"""A place in the header of a GGUF file: reads its values one after the other, skips what is long."""

import struct
from dataclasses import dataclass
from typing import Literal

from vram_advisor.sources.file_head import FileHead
from vram_advisor.sources.gguf_leap import end_of_texts
from vram_advisor.units.errors import BadInput

KEPT_BYTES = 4096
"""Longest text that is kept [B]; chat templates and tokenizers are longer, and say nothing about memory."""
KEPT_ITEMS = 4096
"""Longest list of numbers that is kept: one number for each layer fits, one for each token does not."""
MAX_DIMENSIONS = 4
"""Of a tensor."""
MAX_STRINGS = 1 << 22
"""Most texts in one list: sixteen times the largest vocabulary."""
LONG_LIST = 4096
"""From how many texts on a list is leapt over."""

TEXT, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Codes of ``struct`` by the number of a type of value."""


@dataclass(frozen=True, slots=True)
class Omitted:
    """A long value that was passed over."""

    kind: Literal["text", "texts", "numbers"]
    count: int
    """Bytes of the text, items of the list."""


Value = bool | int | float | str | tuple[int | float | bool, ...] | Omitted


class Cursor:
    """A place in a header. Every read moves it on; BadInput where the file ends before.

    ``leaps``: long lists of texts are passed over by a look at few of their bytes, where the file is at hand and written
    as nearly all are (little endian, lengths of 64 bits). ``leapt`` says that one was: what is read behind it has to
    be proven whole.
    """

    def __init__(
        self, head: FileHead, position: int, version: int, byte_order: Literal["little", "big"], leaps: bool = False
    ) -> None:
        self.head, self.position, self.version, self.byte_order = head, position, version, byte_order
        self.leaps = leaps and head.at_hand and version > 1 and byte_order == "little"
        self.leapt = False
        self.mark = "<" if byte_order == "little" else ">"
        self.counts = struct.Struct(self.mark + ("I" if version == 1 else "Q"))
        self.words = struct.Struct(self.mark + "I")
        counted = "I" if version == 1 else "Q"
        self.shapes = tuple(
            struct.Struct(f"{self.mark}{dimensions}{counted}IQ") for dimensions in range(MAX_DIMENSIONS + 1)
        )
        """Shape, type and place of a tensor, by its number of dimensions."""

    @property
    def where(self) -> str:
        """Name of the file in messages."""
        return self.head.where

    def number(self, form: struct.Struct) -> int:
        """One whole number of the given form."""
        return self.numbers(form)[0]

    def numbers(self, form: struct.Struct) -> tuple[int, ...]:
        """Whole numbers that stand side by side."""
        end = self.position + form.size
        self.head.need(end)
        values = form.unpack_from(self.head.data, self.position - self.head.start)
        self.position = end
        return values

    def count(self) -> int:
        """A length or number of things, in the width of the version."""
        return self.number(self.counts)

    def word(self) -> int:
        """A number of 32 bits."""
        return self.number(self.words)

    def raw(self, length: int) -> bytes:
        """So many bytes."""
        end = self.position + length
        self.head.need(end)
        place = self.position - self.head.start
        data = bytes(self.head.data[place : place + length])
        self.position = end
        return data

    def skip(self, length: int) -> None:
        """Pass over so many bytes."""
        self.head.pass_over(self.position + length)
        self.position += length

    def tensor(self, most: int) -> tuple[str, tuple[int, ...]] | None:
        """Name, and shape, type and place of a tensor, at once; None where it is not all at hand, or something is wrong.

        The cursor stays where it is then: the same is read part by part, which says what is wrong.

        Args:
            most: bytes of a name.
        """
        data, start = self.head.data, self.position - self.head.start
        begin = start + self.counts.size
        if begin > len(data):
            return None
        (length,) = self.counts.unpack_from(data, start)
        end = begin + length
        if not 0 < length <= most or end + self.words.size + self.shapes[-1].size > len(data):
            return None
        (dimensions,) = self.words.unpack_from(data, end)
        if dimensions > MAX_DIMENSIONS:
            return None
        try:
            name = data[begin:end].decode()
        except UnicodeDecodeError:
            return None
        form = self.shapes[dimensions]
        values = form.unpack_from(data, end + self.words.size)
        self.position += end + self.words.size + form.size - start
        return name, values

    def name(self, most: int, what: str) -> str:
        """A name of at most so many bytes."""
        length = self.count()
        if not 0 < length <= most:
            raise BadInput(f"{self.where}: the name of a {what} has {length:,} bytes, expected 1 to {most}")
        try:
            return self.raw(length).decode()
        except UnicodeDecodeError:
            raise BadInput(f"{self.where}: the name of a {what} is not UTF-8 text") from None

    def value(self, key: str) -> Value:
        """The value of a key."""
        kind = self.word()
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            return self.items(key)
        if kind not in SCALARS:
            raise BadInput(f"{self.where}: {key[:80]!r} has a value of the type {kind:,}, which does not exist")
        return self.scalars(SCALARS[kind], 1)[0]

    def text(self) -> str | Omitted:
        """A text, passed over where it is long."""
        length = self.count()
        if length > KEPT_BYTES:
            self.skip(length)
            return Omitted("text", length)
        return self.raw(length).decode(errors="replace")

    def items(self, key: str) -> tuple[int | float | bool, ...] | Omitted:
        """A list of numbers, passed over where it is long; a list of texts, always passed over."""
        kind, count = self.word(), self.count()
        if kind == TEXT:
            if count > MAX_STRINGS:
                raise BadInput(f"{self.where}: {key[:80]!r} lists {count:,} texts, expected at most {MAX_STRINGS:,}")
            self.skip_texts(count)
            return Omitted("texts", count)
        if kind not in SCALARS:
            raise BadInput(f"{self.where}: {key[:80]!r} lists values of the type {kind:,}, expected numbers or texts")
        if count > KEPT_ITEMS:
            self.skip(count * struct.calcsize(self.mark + SCALARS[kind]))
            return Omitted("numbers", count)
        return self.scalars(SCALARS[kind], count)

    def scalars(self, code: str, count: int) -> tuple[int | float | bool, ...]:
        """So many numbers of one form."""
        form = f"{self.mark}{count}{code}"
        data = self.raw(struct.calcsize(form))
        return struct.unpack(form, data)

    def skip_texts(self, count: int) -> None:
        """Pass over a list of texts."""
        if self.leaps and count > LONG_LIST:
            end = end_of_texts(self.head, self.position, count)
            if end is not None:
                self.head.pass_over(end)
                self.position, self.leapt = end, True
                return
        self.walk_texts(count)

    def walk_texts(self, count: int) -> None:
        """Pass over a list of texts one by one: the loop that runs once for each token and merge of a vocabulary."""
        head, read, width = self.head, self.counts.unpack_from, self.counts.size
        data, start = head.data, head.start
        position = self.position - start
        while count:
            try:
                while count:
                    position += width + read(data, position)[0]
                    count -= 1
            except (struct.error, OverflowError):
                # behind what was fetched so far; the data grow in place
                head.need(start + position + width)
        self.position = start + position
        head.need(self.position)
