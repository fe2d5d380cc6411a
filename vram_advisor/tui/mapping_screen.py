"""The fit map is made in the background, a row at a time, where it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.report.fit_map import Axis, Cell, axes, cells, fixed_fields
from vram_advisor.report.words import shown
from vram_advisor.tui.asking import Refusal, ask
from vram_advisor.tui.choosing_screen import ChoosingScreen
from vram_advisor.tui.situation import Situation
from vram_advisor.tui.widgets.fit_map import FitMap
from vram_advisor.tui.widgets.memory_panel import MemoryPanel
from vram_advisor.units.errors import BadInput


class MappingScreen(ChoosingScreen):
    """Keeps the fit map that of the question."""

    _mapped: object = None
    """The question and the card that the map is of."""

    @dataclass
    class Mapped(Message):
        """Cells of the fit map of a question."""

        situation: Situation
        cells: tuple[Cell, ...]

    def answered(self) -> None:
        """The map follows the answer."""
        self._map_soon()

    def _map_soon(self) -> None:
        """The map is made where it is looked at."""
        if self.query_one(MemoryPanel).view != "map" or self.answer is None or self.refusal:
            return
        device = self.answer.device
        of = (self.situation, None if device is None else (device.name, device.free_bytes))
        if of == self._mapped:
            return
        self._mapped = of
        option = shown(self.answer)
        fixed = fixed_fields(self.answer)
        found = axes(self.situation.workload, self.situation.plan, option.plan)
        self.query_one(FitMap).begin(found)
        self._make_map(
            self.situation,
            replace(self.situation, plan=replace(self.situation.plan, **fixed)),
            found,
            self.machine,
        )

    @work(thread=True, exclusive=True, group="map", exit_on_error=False)
    def _make_map(self, of: Situation, situation: Situation, axes: tuple[Axis, Axis], machine: Machine | None) -> None:
        worker = get_current_worker()

        def answer(values: dict[str, Any]) -> Answer:
            result = ask(situation.having(**values), machine, self.shelf)
            if isinstance(result, Refusal):
                raise BadInput(result.sentence)
            return result

        row: list[Cell] = []
        for cell in cells(*axes, answer):
            if worker.is_cancelled:
                return
            row.append(cell)
            if cell.column == len(axes[1].values) - 1:
                self.post_message(self.Mapped(of, tuple(row)))
                row = []

    @on(Mapped)
    def mapped(self, event: Mapped) -> None:
        """A row of the map."""
        if event.situation == self.situation:
            self.query_one(FitMap).add(event.cells)

    @on(FitMap.Taken)
    def take_cell(self, event: FitMap.Taken) -> None:
        """The cell becomes the question."""
        self.change(self.situation.having(**event.values))
