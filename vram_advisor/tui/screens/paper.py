"""A report on a screen of its own, to be scrolled and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from vram_advisor.report.layout import Line
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import contents
from vram_advisor.tui.screens.ready import Ready


class Paper(ModalScreen[None], Ready[None]):
    """Lines that are made for the width there is."""

    CSS_PATH = "paper.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,e", "dismiss(None)", "Back"),
        Binding("j", "scroll('down')", "Down", show=False),
        Binding("k", "scroll('up')", "Up", show=False),
    ]

    def __init__(self, look: Look, title: str, lines: Callable[[int], list[Line]]) -> None:
        super().__init__()
        self.look = look
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """One scrolled text."""
        with VerticalScroll(id="box", classes="panel"):
            yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Titles."""
        box = self.query_one("#box")
        box.border_title = self._title
        box.border_subtitle = "↑ ↓ scroll   esc back" if self.look.unicode else "esc back"
        box.focus()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        self.call_after_refresh(self._redraw)

    def action_scroll(self, way: str) -> None:
        """A line up or down."""
        box = self.query_one("#box")
        box.scroll_down() if way == "down" else box.scroll_up()

    def _redraw(self) -> None:
        if not self.query("#text"):
            # It is not built yet, or closed already.
            return
        width = max(20, self.query_one("#box").scrollable_content_region.width - 1)
        self.query_one("#text", Static).update(contents(self._lines(width), self.look))
