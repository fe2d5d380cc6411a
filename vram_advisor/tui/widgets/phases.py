"""When: memory over the phases of a step."""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.estimate import PHASE_TITLES
from vram_advisor.report.bar import KIND_TITLES
from vram_advisor.report.sizes import size
from vram_advisor.report.timeline import kinds_legend, kinds_of, stacked_phases
from vram_advisor.report.words import shown
from vram_advisor.tui.widgets.rows import Row, Rows


class Phases(Rows):
    """One stacked bar per phase; the phase under the cursor is spelled out below."""

    HELP = """
## When

One bar per phase in the order of a step, in blocks by kind of memory. The worst phase is what has to fit: it is the
peak, and only what lowers it helps.
"""
    answer: Answer | None = None

    def show(self, answer: Answer | None) -> None:
        """Show the phases of the option that the words are about, the cursor on the worst at first."""
        first = self.answer is None and answer is not None
        self.answer = answer
        self.redraw()
        if first and answer is not None:
            self.choose(shown(answer).estimate.peak.phase)

    def draw(self) -> Sequence[Row]:
        """Rows for the present width."""
        if self.answer is None:
            return ()
        option = shown(self.answer)
        rows = [Row(phase, line) for phase, line in stacked_phases(option, self.look, self.room)]
        legend = kinds_legend(option, self.look, self.room)
        return [*rows, Row(None, ()), *(Row(None, line) for line in legend)]

    def sentence(self) -> str:
        """What is alive in the phase under the cursor."""
        if self.answer is None or self.chosen is None:
            return ""
        option = shown(self.answer)
        phase = next((each for each in option.estimate.phases if each.phase == self.chosen), None)
        if phase is None:
            return ""
        kinds = sorted(kinds_of(option, phase).items(), key=lambda kind: -kind[1])
        parts = ", ".join(f"{KIND_TITLES.get(kind, kind.replace('_', ' '))} {size(nbytes)}" for kind, nbytes in kinds)
        title = PHASE_TITLES[phase.phase]
        return f"{title[0].upper()}{title[1:]}: {parts}."
