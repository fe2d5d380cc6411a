"""Where the memory goes: the components of the peak, what is beyond them, and what is alive at other times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.estimate import Component
from vram_advisor.report.bar import NAMED, PHASE_NAMES
from vram_advisor.report.layout import Line
from vram_advisor.report.timeline import ranked_kinds
from vram_advisor.report.vendor import NVIDIA, terms
from vram_advisor.report.words import shown
from vram_advisor.tui.drawing import cut, difference, number
from vram_advisor.tui.widgets.rows import Row, Rows

SHARE = 6
NUMBERS = 8 + 7 + SHARE
"""Cells of size, spread and share."""
WIDE = 64
"""From this width on there is room for bars."""
NARROW = 40
"""Below this width there is none for shares."""
BAR = 10
LEAST = 12


class Breakdown(Rows):
    """One row per component; the line below the table explains the one under the cursor."""

    HELP = """
## Where it goes

The parts that are alive at the peak, the largest first, in GiB with half of their 90 % interval. Then what is needed
beyond live tensors, and dimmed what is alive at other times. Below: the product that the number is.
`e` shows every factor of every row. `v` shows phases, the fit map, and the four numbers.
"""

    @dataclass
    class Pointed(Message):
        """The cursor stands on a component; None: on a sum."""

        component: Component | None
        sentence: str

    answer: Answer | None = None
    pinned: Answer | None = None

    def show(self, answer: Answer | None, pinned: Answer | None) -> None:
        """Show the option of an answer that the words are about."""
        self.answer, self.pinned = answer, pinned
        self.redraw()
        self.moved()

    def draw(self) -> Sequence[Row]:
        """Rows for the present width."""
        if self.answer is None:
            return ()
        option, said = shown(self.answer), terms(self.answer.device)
        peak = option.estimate.peak
        most = max(1, peak.minimum_bytes.mid)
        before = {} if self.pinned is None else _sizes(self.pinned)
        order = ranked_kinds(option)
        labels = [component.label for _, component in self._components()]
        rows: list[Row] = []
        for key, component in self._components():
            alive = peak.phase in component.alive
            label = component.label.replace(NVIDIA.blas, said.blas)
            if labels.count(component.label) > 1 and not alive:
                # The same at two times, in two sizes.
                label = f"{label}, {PHASE_NAMES.get(component.alive[0], component.alive[0])}"
            spread = component.bytes.high - component.nbytes
            note = difference(component.nbytes - before.get(key, 0)) if self.pinned else f"±{number(spread)}"
            if not self.pinned and spread == 0:
                note = ""
            style = self.look.segment("part", min(order.index(component.kind), NAMED))[1]
            rows.append(Row(key, self._line(label, component.nbytes, note, most, alive, style)))
        sums = self._sums()
        last_alive = next((i for i, (_, c) in enumerate(self._components()) if peak.phase not in c.alive), len(rows))
        old = {} if self.pinned is None else self._sums_of(self.pinned)
        totals = [
            Row(
                name,
                self._line(title, nbytes, self._note(name, nbytes, spread, old), most, True, "overhead", strong=strong),
            )
            for name, (title, nbytes, spread, strong) in sums.items()
        ]
        return [*rows[:last_alive], *totals, *rows[last_alive:]]

    def moved(self) -> None:
        """Say what the row under the cursor is."""
        component = dict(self._components()).get(self.chosen or "") if self.answer is not None else None
        self.post_message(self.Pointed(component, self._sentence(self.chosen)))

    def _components(self) -> list[tuple[str, Component]]:
        """Components with a name each: those of the peak first, the largest first."""
        if self.answer is None:
            return []
        estimate = shown(self.answer).estimate
        phase = estimate.peak.phase
        ordered = sorted(estimate.components, key=lambda c: (phase not in c.alive, -abs(c.nbytes)))
        return _named(ordered)

    def _sums(self) -> dict[str, tuple[str, int, int, bool]]:
        assert self.answer is not None
        return self._sums_of(self.answer)

    def _sums_of(self, answer: Answer) -> dict[str, tuple[str, int, int, bool]]:
        option = shown(answer)
        peak, said = option.estimate.peak, terms(answer.device)
        allocated, least = peak.allocated_bytes, peak.minimum_bytes
        found = {"= allocated": ("allocated at the peak", allocated.mid, allocated.high - allocated.mid, True)}
        if option.estimate.share_bytes is None:
            found["= beyond"] = (said.overhead, least.mid - allocated.mid, 0, False)
        found["= minimum"] = ("minimum to run", least.mid, least.high - least.mid, True)
        return found

    def _note(self, name: str, nbytes: int, spread: int, old: dict[str, tuple[str, int, int, bool]]) -> str:
        if self.pinned is not None:
            return difference(nbytes - old[name][1]) if name in old else ""
        return f"±{number(spread)}" if spread else ""

    def _line(
        self, label: str, nbytes: int, note: str, most: int, alive: bool, colour: str, *, strong: bool = False
    ) -> Line:
        bar = BAR if self.room >= WIDE else 0
        shares = self.room >= NARROW
        room = max(LEAST, self.room - NUMBERS - bar - 1 + (0 if shares else SHARE))
        style = "bold" if strong else "" if alive else "dim"
        drawn = self.look.bar(nbytes / most, bar)[:bar] if alive and nbytes > 0 and bar else "·" * min(2, bar)
        share = f"{100 * nbytes / most:.0f} %" if alive else "–"
        changed = "key" if self.pinned is not None else "dim"
        return (
            (cut(label, room).ljust(room), style),
            (f"{number(nbytes):>8}", style),
            (f"{note:>7}", changed),
            (f" {drawn:<{bar}}" if bar else "", colour if alive else "dim"),
            (f"{share:>{SHARE}}" if shares else "", "dim"),
        )

    def _sentence(self, name: str | None) -> str:
        if self.answer is None or name is None:
            return ""
        component = dict(self._components()).get(name)
        if component is None:
            said = terms(self.answer.device)
            return {
                "= allocated": f"Live tensors at {self._at()}: the sum of the rows above.",
                "= beyond": f"{said.overhead}: {said.basis}.",
                "= minimum": "Where out-of-memory begins; the verdict compares it with the free memory.",
            }.get(name, "")
        formula = component.formula
        if shown(self.answer).estimate.peak.phase not in component.alive:
            when = ", ".join(PHASE_NAMES.get(phase, phase) for phase in component.alive)
            formula = f"{formula}. Alive at: {when}"
        return formula

    def _at(self) -> str:
        assert self.answer is not None
        phase = shown(self.answer).estimate.peak.phase
        return PHASE_NAMES.get(phase, phase)


def _named(components: Sequence[Component]) -> list[tuple[str, Component]]:
    """A name for each: its label, numbered where several share it and live at different times."""
    count: dict[str, int] = {}
    found = []
    for component in components:
        name = f"{component.kind} {component.label}"
        count[name] = count.get(name, 0) + 1
        found.append((f"{name} {count[name]}", component))
    return found


def _sizes(answer: Answer) -> dict[str, int]:
    estimate = shown(answer).estimate
    phase = estimate.peak.phase
    ordered = sorted(estimate.components, key=lambda c: (phase not in c.alive, -abs(c.nbytes)))
    return {name: component.nbytes for name, component in _named(ordered)}
