"""A list of lines with a cursor: by arrows, by letters as in vi, by mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from vram_advisor.report.layout import Line, plain
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import content

GUTTER = 2
"""Cells in front of each line for the cursor."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line with the name of what it shows; None: it cannot be chosen."""

    name: str | None
    line: Line
    below: tuple[Line, ...] = ()


class Rows(OptionList):
    """Rows that are drawn to the width there is, the chosen one with a mark."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]
    DEFAULT_CSS = """
    Rows {
        border: none; padding: 0; background: transparent; height: auto;
        text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
        &:focus { border: none; background: transparent; background-tint: $foreground 0%; }
        & > .option-list--option { padding: 0; }
        & > .option-list--option-disabled { color: $foreground; }
        & > .option-list--option-highlighted { color: $foreground; background: $foreground 7%; text-style: none; }
        &:focus > .option-list--option-highlighted { color: $foreground; background: $primary 22%; text-style: none; }
        & > .option-list--option-hover { background: $foreground 5%; }
    }
    """

    def __init__(self, look: Look, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.look = look
        self._rows: tuple[Row, ...] = ()

    @property
    def room(self) -> int:
        """Cells of a line beside the cursor and the scroll bar."""
        return max(10, self.scrollable_content_region.width - GUTTER - (0 if self.show_vertical_scrollbar else 1))

    @property
    def chosen(self) -> str | None:
        """Name of the row under the cursor."""
        at = self.highlighted
        return self._rows[at].name if at is not None and at < len(self._rows) else None

    def draw(self) -> Sequence[Row]:
        """The rows for the present width; overridden by each list."""
        return self._rows

    def redraw(self) -> None:
        """Draw again, with the cursor on the row of the same name."""
        before = self.chosen
        rows = tuple(self.draw())
        names = [row.name for row in rows]
        same_shape = names == [row.name for row in self._rows] and len(rows) == self.option_count
        changed = [i for i, row in enumerate(rows) if not same_shape or row != self._rows[i]]
        self._rows = rows
        if same_shape:
            for i in changed:
                self.replace_option_prompt_at_index(i, self._prompt(i))
            return
        at = names.index(before) if before is not None and before in names else None
        if at is None:
            at = next((i for i, name in enumerate(names) if name is not None), None)
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(self._prompt(i, at), disabled=row.name is None) for i, row in enumerate(rows)])
            self.highlighted = at
        self.moved()

    def choose(self, name: str) -> None:
        """Put the cursor on the row of this name."""
        for i, row in enumerate(self._rows):
            if row.name == name:
                self.highlighted = i

    def moved(self) -> None:
        """The cursor stands on another row, or the row shows something else; overridden where that matters."""

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Draw the mark of the cursor where it has gone."""
        for i, row in enumerate(self._rows):
            if i < self.option_count and row.name is not None:
                self.replace_option_prompt_at_index(i, self._prompt(i, highlighted))
        super().watch_highlighted(highlighted)
        self.moved()

    def action_page_up(self) -> None:
        """A page up, where there is room for one: the library fails where there is none."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """A page down, where there is room for one."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]

    def on_resize(self, event: events.Resize) -> None:
        """Lines are made for a width, and the cursor stays in sight."""
        self.redraw()
        self.scroll_to_highlight()

    def _prompt(self, index: int, highlighted: int | None = -1) -> Content:
        row = self._rows[index]
        here = index == (self.highlighted if highlighted == -1 else highlighted)
        mark = ("› " if here else "  ", "bold key")
        lines = [content((mark, *row.line), self.look)]
        lines += [content((("  ", ""), *each), self.look) for each in row.below]
        return Content("\n").join(lines)


def texts(rows: Sequence[Row]) -> list[str]:
    """The rows as plain text."""
    return [plain(row.line) for row in rows]
