"""The fit map: a whole answer per cell, lettered and coloured by its verdict."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from vram_advisor.domain.estimate import Outcome
from vram_advisor.report.advising import FIELD_TITLES
from vram_advisor.report.fit_map import Axis, Cell
from vram_advisor.report.formats.asked import FitMap
from vram_advisor.report.formats.canvas import canvas
from vram_advisor.report.formats.markup import node, share
from vram_advisor.units.bytes import GIB

LETTERS: dict[Outcome, str] = {"fits": "F", "tight": "T", "spill": "S", "no": "N", "unknown": "?"}
ROW, FIRST = 27, 40
"""Pixels from row to row, and above the first."""
HEAD = 0.19
"""Share of the width for what the rows are."""
WIDEST = 0.21
"""Share of the width that a cell may have."""


def map_picture(found: FitMap) -> Element:
    """Rows and columns of cells; what is asked is framed."""
    rows, columns = found.rows, found.columns
    across = min((1 - HEAD) / len(columns.values), WIDEST)
    fitting = sum(cell.outcome == "fits" for cell in found.cells)
    root = canvas(
        "map",
        f"What fits: {axis_title(rows)} by {axis_title(columns)}",
        f"{fitting} of {len(found.cells)} combinations fit. The table below has every cell.",
        FIRST + ROW * len(rows.values) + 4,
    )
    node(root, "text", f"{axis_title(rows)} ↓", x=0, y=12, class_="soft")
    node(
        root,
        "text",
        f"{axis_title(columns)} →",
        x=share(HEAD + across * len(columns.values), 1),
        y=12,
        class_="soft end",
    )
    for j, value in enumerate(columns.values):
        style = "middle strong" if j == columns.at else "middle soft"
        node(root, "text", value_title(value), x=share(HEAD + across * (j + 0.5), 1), y=FIRST - 8, class_=style)
    for i, value in enumerate(rows.values):
        style = "strong" if i == rows.at else "soft"
        node(root, "text", value_title(value), x=0, y=FIRST + ROW * i + 18, class_=style)
    for cell in found.cells:
        _cell(root, cell, across)
    node(
        root, "rect", x=share(HEAD + across * columns.at, 1), y=FIRST + ROW * rows.at, width=share(across, 1),
        height=ROW, rx=4, class_="none ink-line mark",
    )  # fmt: skip
    return root


def axis_title(axis: Axis) -> str:
    """What an axis is, in words."""
    return FIELD_TITLES.get(axis.title, axis.title.replace("_", " "))


def value_title(value: Any) -> str:
    """A value of an axis; None: as the runtime does it."""
    return "auto" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def cell_title(cell: Cell) -> str:
    """Letter and GiB of a cell, in as few characters as tell them."""
    if cell.outcome is None or cell.minimum_bytes is None:
        return "–"
    need = cell.minimum_bytes / GIB
    return f"{LETTERS[cell.outcome]} {need:.{2 if need < 9.995 else 1 if need < 99.95 else 0}f}"


def _cell(root: Element, cell: Cell, across: float) -> None:
    x, y = HEAD + across * cell.column, FIRST + ROW * cell.row
    outcome = cell.outcome
    node(
        root, "rect", x=share(x, 1), y=y, width=share(across, 1), height=ROW, rx=4,
        class_=f"cut {'free' if outcome is None else f'{outcome}-tint'} thick",
    )  # fmt: skip
    style = f"middle small {'soft' if outcome is None else outcome}"
    node(root, "text", cell_title(cell), x=share(x + across / 2, 1), y=y + 18, class_=style)
