"""A list to choose from: type to narrow it down, enter takes; what is typed may be a value of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from vram_advisor.report.layout import Line
from vram_advisor.report.look import Look
from vram_advisor.tui.drawing import content, cut
from vram_advisor.tui.screens.ready import Ready
from vram_advisor.tui.widgets.rows import Row, Rows
from vram_advisor.units.errors import BadInput

MOST = 400
"""Rows that are shown; typing narrows them down."""
OWN = "own:"
"""Begins the name of the row for what was typed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to choose."""

    name: str
    """What is returned."""
    title: str
    note: str = ""
    also: str = ""
    """Further words that find it."""


class Choices(Rows):
    """Entries with their notes beside them."""

    entries: Sequence[Entry] = ()
    marked: frozenset[str] = frozenset()
    own = ""
    titles = 8
    """Cells of the longest title."""

    def draw(self) -> Sequence[Row]:
        """Rows for the present width."""
        rows = [Row(entry.name, self._line(entry)) for entry in self.entries]
        if self.own:
            rows.append(Row(OWN, (("use “", "dim"), (cut(self.own, self.room - 8), "bold"), ("” as typed", "dim"))))
        return rows

    def _line(self, entry: Entry) -> Line:
        mark = ("✓ " if entry.name in self.marked else "  ") if self.marked else ""
        wide = min(self.titles, max(8, (self.room - len(mark)) * 3 // 5 if entry.note else self.room))
        note = cut(entry.note, max(0, self.room - len(mark) - wide - 2))
        return ((mark, "bold key"), (cut(entry.title, wide).ljust(wide), ""), ("  ", ""), (note, "dim"))


class Picker(ModalScreen[tuple[str, ...] | None], Ready[tuple[str, ...] | None]):
    """Returns the names that were chosen: one, or several to compare; None: nothing."""

    CSS_PATH = "picker.tcss"
    HELP = "Type to narrow down, arrows move, `enter` takes, `tab` marks several to compare, `esc` goes back."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("down", "cursor('cursor_down')", "Down", show=False, priority=True),
        Binding("up", "cursor('cursor_up')", "Up", show=False, priority=True),
        Binding("pagedown", "cursor('page_down')", "Page down", show=False, priority=True),
        Binding("pageup", "cursor('page_up')", "Page up", show=False, priority=True),
        Binding("tab", "mark", "Mark", show=False, priority=True),
    ]

    def __init__(
        self,
        look: Look,
        title: str,
        entries: Sequence[Entry],
        *,
        chosen: str | None = None,
        several: bool = False,
        check: Callable[[str], object] | None = None,
        hint: str = "",
        about: str = "",
    ) -> None:
        super().__init__()
        self.look = look
        self._title = title
        self._entries = entries
        self._chosen = chosen
        self._several = several
        self._check = check
        """Raises BadInput where what was typed is no value; None: only what is listed can be taken."""
        self._hint = hint
        self._about = about

    def compose(self) -> ComposeResult:
        """A field, the list, a line of help."""
        with Vertical(id="box", classes="panel"):
            search = Input(placeholder=self._hint, id="search", select_on_focus=False, compact=True)
            search.cursor_blink = False
            yield search
            yield Choices(self.look, id="choices")
            yield Static("", id="hint", markup=False)

    def on_mount(self) -> None:
        """All entries, the cursor on the present one."""
        box = self.query_one("#box")
        self.query_one(Choices).titles = max((len(entry.title) for entry in self._entries), default=8)
        box.border_title = self._title
        several = "   tab mark, enter compares" if self._several else ""
        box.border_subtitle = f"enter take   esc back{several}"
        self._narrow("")
        if self._chosen is not None:
            self.query_one(Choices).choose(self._chosen)
        self.query_one(Input).focus()

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        """Fewer entries with every letter."""
        self._narrow(event.value)

    @on(Input.Submitted)
    def submit(self) -> None:
        """Enter in the field takes the row under the cursor."""
        self._take(self.query_one(Choices).chosen)

    @on(OptionList.OptionSelected)
    def select(self, event: OptionList.OptionSelected) -> None:
        """A click takes its row."""
        event.stop()
        self._take(self.query_one(Choices).chosen)

    def action_cursor(self, move: str) -> None:
        """Arrows move in the list while letters go to the field."""
        getattr(self.query_one(Choices), f"action_{move}")()

    def action_mark(self) -> None:
        """Mark or unmark the row under the cursor."""
        found = self.query_one(Choices)
        if self._several and found.chosen is not None and found.chosen != OWN:
            found.marked ^= {found.chosen}
            found.redraw()
            found.action_cursor_down()

    def _narrow(self, typed: str) -> None:
        found = self.query_one(Choices)
        wanted = " ".join(typed.split())
        found.entries = ranked(self._entries, wanted)[:MOST]
        found.own, complaint = "", ""
        if wanted and self._check is not None and all(entry.name != wanted for entry in found.entries[:1]):
            try:
                self._check(wanted)
                found.own = wanted
            except BadInput as error:
                complaint = str(error)
        found.redraw()
        if found.option_count:
            found.highlighted = 0
        nothing = "" if found.option_count else "Nothing has such a name."
        said = complaint if complaint and not found.entries else nothing
        hint = self.query_one("#hint", Static)
        text = self._about or f"{len(found.entries)} listed"
        hint.update(content(((said, "warning"),) if said else ((text, "dim"),), self.look))

    def _take(self, name: str | None) -> None:
        found = self.query_one(Choices)
        if found.marked:
            self.dismiss(tuple(entry.name for entry in self._entries if entry.name in found.marked))
        elif name == OWN:
            self.dismiss((found.own,))
        elif name is not None:
            self.dismiss((name,))


def ranked(entries: Sequence[Entry], typed: str) -> list[Entry]:
    """The entries that have every word of what was typed, the best first; letters may be left out in between."""
    if not typed:
        return list(entries)
    lowered = typed.lower()
    words = lowered.split()
    exact = [entry for entry in entries if all(word in _text(entry) for word in words)]
    if exact:
        # Whole words beat letters with gaps; among them what begins so comes first.
        return sorted(exact, key=lambda entry: not entry.name.lower().startswith(words[0]))
    matcher = Matcher(typed)
    scored = [(matcher.match(entry.title), entry) for entry in entries]
    return [entry for score, entry in sorted(scored, key=lambda pair: -pair[0]) if score > 0]


def _text(entry: Entry) -> str:
    return f"{entry.name} {entry.title} {entry.also}".lower()
