"""The application: themes, keys and the one main screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.theme import Theme

from vram_advisor.report.look import Look
from vram_advisor.tui.forgetting import REST, forget_gone_widgets, share_one_heap
from vram_advisor.tui.main_screen import MainScreen
from vram_advisor.tui.palette import Command, palette
from vram_advisor.tui.screens.picker import Entry, Picker
from vram_advisor.tui.settings import Settings, read_settings
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.themes import CALM, THEMES, own_colours


def utc_now() -> datetime:
    """The time, for ages of calibrations."""
    return datetime.now(UTC)


class AdvisorApp(App[str]):
    """Does it fit, why, and what next, on one screen."""

    TITLE = "vram-advisor"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - declared so by the library
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit", id="quit", tooltip="Leave"),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="help", tooltip="Help where you are"),
    ]

    def __init__(
        self,
        *,
        theme: str | None = None,
        plain: bool = False,
        situation: Situation | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Build the app.

        Args:
            theme: name of a theme; None: that of the settings, else the calm one.
            plain: ASCII only.
            situation: the first question.
            now: the time, UTC.
        """
        super().__init__()
        self.settings, self._complaint = read_settings()
        self.look = Look(unicode=not (plain or self.settings.plain))
        self._situation = situation or self.settings.first
        self._now = now
        self.copied: str | None = None
        """The last command line that was copied."""
        for each in THEMES:
            self.register_theme(each)
        wanted = theme or self.settings.theme or CALM.name
        if wanted not in self.available_themes:
            self._complaint = f"There is no theme {wanted}: use one of {', '.join(sorted(self.available_themes))}."
            wanted = CALM.name
        self.theme = wanted
        self.set_class(not self.look.unicode, "-ascii")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of this app for the themes that do not name them."""
        theme: Theme = self.current_theme
        return own_colours(theme)

    def on_mount(self) -> None:
        """Keys of the user, and the main screen."""
        share_one_heap()
        self.set_keymap(self.settings.keys)
        self.push_screen(MainScreen(self.look, self._situation, self._now))
        if self._complaint:
            self.notify(self._complaint, title="Settings", severity="warning", markup=False)

    def action_command_palette(self) -> None:
        """Offer every action in one list."""
        if isinstance(self.screen, ModalScreen):
            return
        of_screen: Callable[[], list[Command]] | None = getattr(self.screen, "commands", None)
        commands = {each.title: each for each in [*(of_screen() if of_screen else ()), *self.commands()]}

        def run(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self.call_later(commands[chosen[0]].run)

        self.push_screen(palette(self.look, list(commands.values())), run)

    def commands(self) -> list[Command]:
        """What can be done on every screen."""
        return [
            Command("theme: choose", "Colours of the screen", self.choose_theme),
            Command("help: show or hide", "What can be done where the cursor is", self.action_help),
            Command("screen: save as a picture", "An SVG file", self.deliver_screenshot),
            Command("app: quit", "Leave", self.action_quit),
        ]

    def choose_theme(self) -> None:
        """Offer all themes, those of the library included."""

        def take(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self.theme = chosen[0]

        entries = [
            Entry(name, name, "dark" if theme.dark else "light")
            for name, theme in sorted(self.available_themes.items())
        ]
        self.push_screen(Picker(self.look, "Theme", entries, chosen=self.theme, hint="a name"), take)

    def action_help(self) -> None:
        """Show or hide the help of where the cursor is."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
            self.set_timer(REST, forget_gone_widgets)
        else:
            self.action_show_help_panel()
            panel = self.screen.query_one("HelpPanel")
            panel.border_title, panel.border_subtitle = "Help", "? or F1 closes"

    async def action_quit(self) -> None:
        """Leave, and hand out what was copied: a terminal may refuse the clipboard."""
        self.exit(self.copied)


__all__ = ["AdvisorApp", "Settings"]
