"""Text in styled spans, wrapped and set in columns.

A line is a tuple of spans, a span is a text and the names of its styles; what a style looks like is the affair of the
face. It does for an answer what a terminal library would, in a tenth of the start-up time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Span = tuple[str, str]
"""A text and the names of its styles, separated by spaces."""
Line = tuple[Span, ...]

BLANK: Line = ()
NBSP = "\u00a0"
"""Keeps words on one line; printed as an ordinary space."""
GAP = 2
"""Spaces between columns."""
NARROWEST = 8
"""Cells that a flexible column keeps."""
LONGEST_KEPT = 24
"""Longer words may be broken; shorter ones are kept whole by giving up columns."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Column:
    """One column of a table."""

    heading: str = ""
    side: Literal["left", "right"] = "left"
    flexible: bool = False
    """Takes what the other columns leave; longer cells are wrapped, or cut where ``cut`` is set."""
    cut: bool = False
    optional: int = 0
    """Left out where the table is too wide, the highest number first; 0: always shown."""


def line(text: str, style: str = "") -> Line:
    """A line of one style."""
    return ((text, style),)


def plain(spans: Line) -> str:
    """The text without styles."""
    return "".join(text for text, _ in spans)


def length(spans: Line) -> int:
    """Cells of a line."""
    return sum(len(text) for text, _ in spans)


def indented(lines: Iterable[Line], by: int = 2) -> list[Line]:
    """The lines moved to the right."""
    return [((" " * by, ""), *spans) if spans else BLANK for spans in lines]


def wrapped(spans: Line, width: int, hanging: int = 0) -> list[Line]:
    """The line broken at spaces, and within words that are wider than a line; every line but the first starts ``hanging`` cells to the right."""
    lines: list[Line] = []
    current: list[Span] = []
    used = 0
    for word, style, spaced in _words(spans, max(1, width - hanging)):
        if current and used + spaced + len(word) > width:
            lines.append(tuple(current))
            current, used = [(" " * hanging, "")] if hanging else [], hanging
        elif current and spaced:
            current.append((" ", style if current[-1][1] == style else ""))
            used += 1
        current.append((word, style))
        used += len(word)
    return [*lines, tuple(current)] if current else [BLANK]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Line]], width: int) -> list[Line]:
    """Rows under their headings. A flexible column is wrapped or cut to fit; then optional ones go."""
    widths = _widths(columns, rows, width)
    least = sum(widths) + GAP * (len(columns) - 1)
    spare = max(range(len(columns)), key=lambda i: columns[i].optional, default=0)
    if least > width and columns and columns[spare].optional:
        fewer = [[cell for i, cell in enumerate(row) if i != spare] for row in rows]
        return table([column for i, column in enumerate(columns) if i != spare], fewer, width)
    lines: list[Line] = []
    if any(column.heading for column in columns):
        lines += _row(columns, widths, [line(column.heading, "dim") for column in columns])
    for row in rows:
        lines += _row(columns, widths, row)
    return lines


def flow(entries: Iterable[Line], width: int) -> list[Line]:
    """Entries side by side, each kept whole, as many to a line as fit."""
    lines: list[Line] = []
    current: Line = BLANK
    for entry in entries:
        if current and length(current) + GAP + length(entry) > width:
            lines.append(current)
            current = BLANK
        current = (*current, (" " * GAP, ""), *entry) if current else entry
    return [*lines, current] if current else lines


def _words(spans: Line, longest: int) -> Iterable[tuple[str, str, bool]]:
    """The words with their style, and whether a space stands before each; a longer word comes in pieces."""
    spaced = False
    for text, style in spans:
        for i, word in enumerate(text.split(" ")):
            spaced = spaced or i > 0
            for piece in _pieces(word, longest):
                yield piece, style, spaced
                spaced = False


def _pieces(word: str, longest: int) -> Iterable[str]:
    while len(word) > longest:
        at = max(word.rfind(mark, 1, longest) for mark in "-/_") + 1 or longest
        yield word[:at]
        word = word[at:]
    if word:
        yield word


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Line]], width: int) -> list[int]:
    widths = [
        max([len(column.heading), *(length(row[i]) for row in rows)], default=0) for i, column in enumerate(columns)
    ]
    over = sum(widths) + GAP * (len(columns) - 1) - width
    floors = [_floor(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    flexible = [i for i, column in enumerate(columns) if column.flexible]
    while over > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        if widths[widest] <= floors[widest]:
            flexible.remove(widest)
            continue
        others = [widths[i] for i in flexible if i != widest]
        # Down to the next widest at a time, so that several flexible columns end up alike.
        step = min(over, max(1, widths[widest] - max(others, default=0)), widths[widest] - floors[widest])
        widths[widest] -= step
        over -= step
    return widths


def _floor(column: Column, cells: Sequence[Line]) -> int:
    """Cells below which a column would break a word, or cut away all that tells its cells apart."""
    if column.cut:
        return LONGEST_KEPT // 2
    pieces = (len(piece) for cell in cells for piece in re.findall(r"[^ /_-]*[ /_-]?", plain(cell)))
    return min(LONGEST_KEPT, max([NARROWEST, len(column.heading), *pieces]))


def _row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Line]) -> list[Line]:
    parts: list[list[Line]] = []
    for column, room, cell in zip(columns, widths, cells, strict=True):
        if length(cell) <= room:
            parts.append([cell])
        elif column.cut:
            parts.append([_cut(cell, room)])
        else:
            parts.append(wrapped(cell, room))
    height = max(map(len, parts))
    return [_joined(columns, widths, [part[i] if i < len(part) else BLANK for part in parts]) for i in range(height)]


def _joined(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Line]) -> Line:
    spans: list[Span] = []
    behind = 0
    for column, room, cell in zip(columns, widths, cells, strict=True):
        empty = room - length(cell)
        before, after = (empty, 0) if column.side == "right" else (0, empty)
        # Spaces are only written where something follows: no line ends in them.
        if length(cell):
            if behind + before:
                spans.append((" " * (behind + before), ""))
            spans += cell
            behind = after + GAP
        else:
            behind += room + GAP
    return tuple(spans)


def _cut(spans: Line, room: int) -> Line:
    kept: list[Span] = []
    left = room - 1
    for text, style in spans:
        kept.append((text[:left], style))
        left -= len(text[:left])
        if left <= 0:
            break
    kept[-1] = (kept[-1][0].rstrip(" ") + "…", kept[-1][1])
    return tuple(kept)
