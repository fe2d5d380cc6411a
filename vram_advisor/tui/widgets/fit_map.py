"""The fit map: a grid of sizes, each cell lettered by its verdict, with a cursor that chooses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from vram_advisor.report.fit_map import Axis, Cell
from vram_advisor.report.layout import Line, Span
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import LETTERS, contents, number, put
from vram_advisor.tui.knobs import shown
from vram_advisor.units.bytes import GIB

CELL = 10
"""Cells of one column."""
HEADER = 2
"""Lines above the grid."""
LEGEND = (("F", "fits"), (" fits  ", "dim"), ("T", "tight"), (" tight  ", "dim"), ("S", "spill"), (" spills  ", "dim"),
          ("N", "no"), (" no   ", "dim"), ("GiB needed; enter takes the cell", "dim"))  # fmt: skip


class FitMap(Static, can_focus=True):
    """Length by batch of a fine-tune, context by type of the cache at inference."""

    HELP = """
## Fit map

Each cell is a whole answer for its length and batch (at inference: context and type of the KV cache): **F** fits,
**T** tight, **S** spills, **N** no, and the GiB that it needs. Arrows move, `enter` takes the cell.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(0, -1)", "Left", show=False),
        Binding("right,l", "move(0, 1)", "Right", show=False),
        Binding("up,k", "move(-1, 0)", "Up", show=False),
        Binding("down,j", "move(1, 0)", "Down", show=False),
        Binding("enter", "take", "Take the cell", show=False),
    ]
    DEFAULT_CSS = "FitMap { height: auto; }"

    @dataclass
    class Taken(Message):
        """A person wants the values of a cell."""

        values: dict[str, Any]

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.look = look
        self._axes: tuple[Axis, Axis] | None = None
        self._cells: dict[tuple[int, int], Cell] = {}
        self._row = self._column = 0
        self._first = self._top = 0

    def begin(self, axes: tuple[Axis, Axis]) -> None:
        """Show the axes; cells follow. The cursor stands on what is asked."""
        self._axes, self._cells = axes, {}
        self._row, self._column = axes[0].at, axes[1].at
        self._redraw()

    def add(self, cells: Iterable[Cell]) -> None:
        """Show cells."""
        self._cells |= {(cell.row, cell.column): cell for cell in cells}
        self._redraw()

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor."""
        if self._axes is not None:
            self._row = min(len(self._axes[0].values) - 1, max(0, self._row + down))
            self._column = min(len(self._axes[1].values) - 1, max(0, self._column + right))
            self._redraw()

    def action_take(self) -> None:
        """Ask for the values under the cursor."""
        if self._axes is not None:
            rows, columns = self._axes
            self.post_message(self.Taken(rows.set(self._row) | columns.set(self._column)))

    def on_click(self, event: events.Click) -> None:
        """A click moves, a second one takes."""
        if self._axes is None:
            return
        row, column = event.y - HEADER + self._top, (event.x - self._margin) // CELL + self._first
        if 0 <= row < len(self._axes[0].values) and 0 <= column < len(self._axes[1].values):
            again = (row, column) == (self._row, self._column)
            self._row, self._column = row, column
            self._redraw()
            if again:
                self.action_take()

    def on_resize(self) -> None:
        """As many columns as there is room for."""
        self.call_after_refresh(self._redraw)

    def on_focus(self) -> None:
        """The cursor shows."""
        self._redraw()

    def on_blur(self) -> None:
        """The cursor is quiet."""
        self._redraw()

    @property
    def _margin(self) -> int:
        assert self._axes is not None
        return max(7, *(len(shown(value)) for value in self._axes[0].values)) + 2

    def _redraw(self) -> None:
        if self._axes is None:
            return
        rows, columns = self._axes
        width, margin = max(20, self.content_size.width), self._margin
        fit = max(1, (width - margin) // CELL)
        self._first = min(max(0, self._column - fit + 1), max(0, len(columns.values) - fit))
        parent = self.parent
        height = getattr(getattr(parent, "content_size", None), "height", 0) or 20
        tall = max(1, height - HEADER - 4)
        self._top = min(max(0, self._row - tall + 1), max(0, len(rows.values) - tall))
        shown_columns = range(self._first, min(self._first + fit, len(columns.values)))
        lines: list[Line] = [((f"{rows.title} by {columns.title}", "dim"),)]
        header: list[Span] = [(" " * margin, "")]
        header += [
            (f"{shown(columns.values[j]):>{CELL - 1}} ", "bold" if j == columns.at else "dim") for j in shown_columns
        ]
        lines.append(tuple(header))
        for i in range(self._top, min(self._top + tall, len(rows.values))):
            label = shown(rows.values[i]).rjust(margin - 2) + "  "
            spans: list[Span] = [(label, "bold" if i == rows.at else "dim")]
            spans += [self._cell(i, j) for j in shown_columns]
            lines.append(tuple(spans))
        lines += [(), LEGEND]
        put(self, contents(lines, self.look))

    def _cell(self, row: int, column: int) -> Span:
        cell = self._cells.get((row, column))
        here = (row, column) == (self._row, self._column)
        if cell is None:
            text, style = f"{'…':>{CELL - 2}}", "dim"
        elif cell.outcome is None or cell.minimum_bytes is None:
            text, style = f"{'–':>{CELL - 2}}", "dim"
        else:
            text, style = f"{LETTERS[cell.outcome]}{_short(cell.minimum_bytes):>{CELL - 3}}", cell.outcome
        if here:
            return f"[{text}]", f"{style} bold here" if self.has_focus else f"{style} bold"
        return f" {text} ", style


def _short(nbytes: int) -> str:
    """GiB in few letters: a cell that needs thousands of them is read for its verdict."""
    return number(nbytes) if nbytes < 1000 * GIB else f"{nbytes / GIB:.0f}"
