"""Amounts of memory that are linear in the workload.

An amount is one product of named factors. The bytes of an answer and the sentence that explains them are two views of
the same amounts, so they cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import mul
from typing import Any

SYMBOLS = ("one", "s", "T", "T128", "Q", "ss", "C", "X", "T64")
"""What sizes are linear in: a constant, sequence length, tokens, tokens with each sequence rounded up to 128,
micro batch x length squared, length squared, rows of one chunk of the loss, rows of one expert,
tokens with each sequence rounded up to 64."""

SYMBOL_NAMES = {
    "s": "positions",
    "T": "tokens",
    "T128": "tokens rounded up to 128",
    "Q": "pairs of tokens",
    "ss": "pairs of positions",
    "C": "rows of a chunk",
    "X": "rows of one expert",
    "T64": "tokens rounded up to 64",
}

Size = tuple[int, ...]
"""Bytes per symbol, in the order of SYMBOLS."""

ZERO: Size = (0,) * len(SYMBOLS)
INDEX = {name: i for i, name in enumerate(SYMBOLS)}
"""Where a symbol stands in a size."""


def size(rows: str, nbytes: int) -> Size:
    """``nbytes`` [B] for each of ``rows``."""
    i = INDEX[rows]
    return ZERO[:i] + (nbytes,) + ZERO[i + 1 :]


def plus(a: Size, b: Size) -> Size:
    """Sum of two sizes."""
    return tuple(map(int.__add__, a, b))


def times(a: Size, n: int) -> Size:
    """n times a size."""
    return tuple(n * x for x in a)


def evaluate(a: Size, values: tuple[Any, ...]) -> Any:
    """Bytes of a size for the values of the symbols, numbers or arrays [B]."""
    return sum(map(mul, a, values))


@dataclass(frozen=True, slots=True, eq=False)
class Amount:
    """``copies`` x ``rows`` x ``width`` elements of ``itemsize`` bytes."""

    label: str
    rows: str
    width: int
    itemsize: int
    kind: str
    """activation, gradient, logits, workspace, weight copy ..."""
    copies: int = 1
    size: Size = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", size(self.rows, self.copies * self.width * self.itemsize))

    def nbytes(self, values: tuple[Any, ...]) -> Any:
        """The product for the values of the symbols [B]."""
        i = INDEX[self.rows]
        return self.size[i] * values[i]

    def sentence(self, values: tuple[int, ...]) -> str:
        """``2 B x 2,048 tokens x 4,096``, with what it is in brackets."""
        parts = [f"{self.itemsize} B"] if self.rows != "one" or self.itemsize != 1 else []
        if self.copies != 1:
            parts.append(f"{self.copies:,}")
        if self.rows != "one":
            parts.append(f"{values[INDEX[self.rows]]:,} {SYMBOL_NAMES[self.rows]}")
        if self.width != 1 or not parts:
            parts.append(f"{self.width:,}" + ("" if parts else " B"))
        return f"{' × '.join(parts)} ({self.label})"

    def repeated(self, copies: int) -> Amount:
        """The same amount ``copies`` times."""
        return Amount(self.label, self.rows, self.width, self.itemsize, self.kind, self.copies * copies)
