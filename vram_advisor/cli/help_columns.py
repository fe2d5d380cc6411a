"""Help panels whose first column is as wide as the longest name of an option, so that no name is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions


def whole_names(console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
    """Draw a panel. Everything is imported here: only a help text needs it."""
    from attrs import evolve
    from cyclopts.help import ColumnSpec, DefaultFormatter, NameRenderer
    from cyclopts.help.specs import get_default_parameter_columns

    def columns(console: Console, options: ConsoleOptions, entries: list[HelpEntry]) -> tuple[ColumnSpec, ...]:
        longest = max((len(name) for entry in entries for name in entry.names), default=0)
        found = []
        for column in get_default_parameter_columns(console, options, entries):
            if isinstance(column.renderer, NameRenderer):
                width = min(max(longest, column.max_width or 0), console.width // 2)
                column = evolve(column, renderer=NameRenderer(max_width=width), max_width=width)
            found.append(column)
        return tuple(found)

    DefaultFormatter(column_specs=columns)(console, options, panel)
