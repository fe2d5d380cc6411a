"""One line on top: what is asked, of which card, and whether the card is really there."""

from __future__ import annotations

from textual.widgets import Static

from vram_advisor.report.layout import Line, Span, length
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import content, cut, put

NAME = "vram-advisor"


class TitleBar(Static):
    """The question on the left, the card on the right."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.look = look
        self._left = ""
        self._right: Line = ()

    def show(self, asked: str, card: Line) -> None:
        """Show a question and a card."""
        self._left, self._right = asked, card
        self._redraw()

    def on_resize(self) -> None:
        """The card stands at the right edge."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        width = max(10, self.content_size.width)
        name: Span = (NAME, "head")
        room = width - len(NAME) - 3 - length(self._right) - 1
        if room < 12:
            put(self, content((name, ("  ", ""), (cut(self._left, max(0, width - len(NAME) - 2)), "bold")), self.look))
            return
        asked = cut(self._left, room)
        gap = " " * (width - len(NAME) - 2 - len(asked) - length(self._right))
        put(self, content((name, ("  ", ""), (asked, "bold"), (gap, ""), *self._right), self.look))


class TabBar(Static):
    """Which panel is shown, where there is room for one."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.look = look

    def show(self, titles: tuple[str, ...], at: int) -> None:
        """Show the names of panels with their keys."""
        spans: list[Span] = []
        for i, title in enumerate(titles):
            here = i == at
            spans += [(f"{i + 1} ", "key"), (f"▸{title}◂" if here else f" {title} ", "bold" if here else "dim")]
            spans.append(("   ", ""))
        put(self, content(tuple(spans), self.look))
