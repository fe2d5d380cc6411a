"""The command palette: every action of a screen in one list, named so that the noun comes first.

It is the list that models and values are chosen from, because the library's own palette fails where keys come faster
than it searches, and where a terminal is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vram_advisor.report.look import Look
from vram_advisor.tui.screens.picker import Entry, Picker


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do."""

    title: str
    """``noun: verb``."""
    help: str
    run: Callable[[], object]


def palette(look: Look, commands: Sequence[Command]) -> Picker:
    """A list of commands; returns the title of the one to run."""
    entries = [Entry(each.title, each.title, each.help, each.help) for each in commands]
    return Picker(look, "Commands", entries, hint="what to do")
