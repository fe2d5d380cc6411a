"""The command palette: every action of the screen, named so that the noun comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.command import DiscoveryHit, Hit, Hits, Provider


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do."""

    title: str
    """``noun: verb``."""
    help: str
    run: Callable[[], object]


class Actions(Provider):
    """The commands that the screen below the palette offers."""

    def _commands(self) -> list[Command]:
        offered: Callable[[], list[Command]] | None = getattr(self.screen, "commands", None)
        return [] if offered is None else offered()

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.title, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(f"{command.title} {command.help}")) > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.help)
