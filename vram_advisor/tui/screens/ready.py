"""Keys that come faster than a screen opens or closes."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import Screen, ScreenResultType

from vram_advisor.tui.forgetting import REST, forget_gone_widgets, forget_lines


class Ready(Screen[ScreenResultType]):
    """A screen that acts on keys once all of its parts are there, and closes once."""

    _forgetting = False

    def on_screen_resume(self) -> None:
        """The screen above has closed; its memory is given back, but not while the key that closed it is answered."""
        forget_lines()
        if not self._forgetting:
            self._forgetting = True
            self.set_timer(REST, self._forget)

    def _forget(self) -> None:
        self._forgetting = False
        forget_gone_widgets()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is possible on a screen that is not built yet."""
        return self.is_mounted and super().check_action(action, parameters)

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close this screen; where it is closed already, the library would close the one below."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
