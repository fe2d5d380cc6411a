"""What would make it fit, or better: one row per advice, and how far the card goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList, Static

from vram_advisor.domain.advice import Advice, AdviceAnswer
from vram_advisor.report.advising import FIELD_TITLES
from vram_advisor.report.layout import Line, line, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import time_beside
from vram_advisor.tui.drawing import MARKS, contents, cut, difference, number, put
from vram_advisor.tui.widgets.rows import Row, Rows

SAVED = 8
NUMBERS = 8 + SAVED + 4
NARROW = 40
"""Below this width there is no room for what is saved."""
FREE = "none"
"""Begins the cost of a lever that costs nothing."""
SAID = 3
"""Lines about the advice under the cursor."""


class AdviceList(Rows):
    """The advices, best first."""

    HELP = """
## Advice

Each row is a change that was estimated: what would be needed then, and what it saves. `a` applies the one under the
cursor, `u` takes it back. Below: its price, what it needs, and how far the card goes as it is.
"""

    @dataclass
    class Applied(Message):
        """A person wants this change."""

        advice: Advice

    answer: AdviceAnswer | None = None

    def draw(self) -> Sequence[Row]:
        """Rows for the present width."""
        if self.answer is None:
            return ()
        return [Row(str(i), self._line(i, advice)) for i, advice in enumerate(self.answer.advices)]

    @property
    def advice(self) -> Advice | None:
        """The one under the cursor."""
        if self.answer is None or self.chosen is None:
            return None
        return self.answer.advices[int(self.chosen)]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        event.stop()
        if self.advice is not None:
            self.post_message(self.Applied(self.advice))

    def _line(self, index: int, advice: Advice) -> Line:
        saves = self.room >= NARROW
        room = max(12, self.room - NUMBERS - 2 + (0 if saves else SAVED))
        title = " + ".join(move.title for move in advice.moves)
        outcome = advice.verdict.outcome
        return (
            (f"{index + 1} ", "dim"),
            (cut(title, room).ljust(room), ""),
            (f"{number(advice.estimate.peak.minimum_bytes.mid):>8}", "bold"),
            (f"{difference(-advice.saved_bytes):>{SAVED}}" if saves else "", "key"),
            (f"  {MARKS[outcome]} ", f"bold {outcome}"),
        )


class AdvicePanel(Vertical):
    """The list, and what the row under the cursor costs."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.look = look
        self._sentence = ""
        self._answer: AdviceAnswer | None = None

    def compose(self) -> ComposeResult:
        """List and sentences."""
        yield AdviceList(self.look, id="advices")
        yield Static("", id="price", markup=False)

    def on_mount(self) -> None:
        """Titles."""
        self.border_title = "Advice"

    def show(self, answer: AdviceAnswer | None, sentence: str) -> None:
        """Show advice, or a sentence where there is none."""
        self._answer, self._sentence = answer, sentence
        found = self.query_one(AdviceList)
        found.answer = answer
        found.display = answer is not None and bool(answer.advices)
        found.redraw()
        self.border_subtitle = "a apply   u undo" if found.display else ""
        self.stale(False)
        self._price()

    def stale(self, stale: bool) -> None:
        """Mark what is shown as that of an earlier question."""
        self.set_class(stale, "-stale")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another advice under the cursor."""
        self._price()

    def on_resize(self) -> None:
        """Sentences are wrapped to the width."""
        self.call_after_refresh(self._price)

    def _price(self) -> None:
        width = max(20, self.content_size.width - 4)
        lines: list[Line] = []
        if self._answer is None:
            lines += wrapped(line(self._sentence, "dim"), width)
        else:
            advice = self.query_one(AdviceList).advice
            if advice is not None:
                lines += wrapped(line(_price(advice), "dim"), width)[:SAID]
            elif self._answer.asked.verdict.outcome == "fits":
                lines.append(line("It fits as it is, and nothing that is known here makes it better.", "dim"))
            else:
                lines += wrapped(line("Nothing that is known here makes it fit this card.", "warning"), width)
            lines.append(_reach(self._answer))
        put(self.query_one("#price", Static), contents(lines, self.look))


def _price(advice: Advice) -> str:
    """What an advice costs and needs, and what it allows."""
    said = [*advice.reasons, *filter(None, [time_beside(advice.relative_time)])]
    said += dict.fromkeys(move.cost for move in advice.moves if move.cost and not move.cost.startswith(FREE))
    said += dict.fromkeys(f"needs {move.needs}" for move in advice.moves if move.needs)
    if advice.then:
        said.append(f"then {' or '.join(advice.then)}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _reach(answer: AdviceAnswer) -> Line:
    """How far the card goes, all else as it is."""
    spans: list[tuple[str, str]] = []
    for bound in answer.bounds:
        spans += [("   " if spans else "How far it goes: ", "dim"), (FIELD_TITLES.get(bound.field, bound.field), "dim")]
        spans.append((f" {bound.largest:,}", "bold"))
    return tuple(spans)
