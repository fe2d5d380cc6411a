"""The last line: keys that do something here. A line of text, because the library's footer keeps what it has replaced."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import plainly, put

PALETTE = "^p palette"
ACT = "act"
"""Names what a click does; the library's own links would be underlined."""


class KeyBar(Static):
    """Key and word of each action that is shown; a click does it, too."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.look = look

    def on_mount(self) -> None:
        """Keys change with the panel and with the settings."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._redraw()

    def on_resize(self) -> None:
        """The palette stands at the right edge."""
        self.call_after_refresh(self._redraw)

    async def on_click(self, event: events.Click) -> None:
        """A click on a key is that key."""
        if (action := event.style.meta.get(ACT)) is not None:
            await self.app.run_action(action, self.screen)

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self._redraw()

    def _redraw(self) -> None:
        width = self.content_size.width
        parts: list[Content] = []
        seen: set[str] = set()
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if not binding.show or not enabled or binding.action in seen or binding.system:
                continue
            seen.add(binding.action)
            key = plainly(self.app.get_key_display(binding), self.look)
            click = Style.from_meta({ACT: _home(binding.action)})
            parts.append(Content.assemble((f"{key} ", "bold $text-accent"), binding.description).stylize(click))
        text = Content(" ").join(parts)
        gap = width - text.cell_length - len(PALETTE)
        if gap > 1:
            click = Style.from_meta({ACT: "app.command_palette"})
            text = text + Content(" " * gap) + Content(PALETTE).stylize("$quiet").stylize(click)
        put(self, text)


def _home(action: str) -> str:
    """Where an action lives, as links name it."""
    return f"app.{action}" if action in ("quit", "help") else f"screen.{action}"
