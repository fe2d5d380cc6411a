"""What was asked, for what asks again: the command that makes a report, and the map of what else would fit."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

from vram_advisor import api
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.report.command import command_line
from vram_advisor.report.fit_map import Axis, Cell, axes, cells, fixed_fields
from vram_advisor.report.words import shown


@dataclass(frozen=True, slots=True)
class FitMap:
    """Two axes and a whole answer for each pair of their values."""

    rows: Axis
    columns: Axis
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was put."""

    model: str
    gpu: str | None
    gpu_index: int | None
    workload: Workload
    plan: Plan
    machine: Machine | None = None
    """What ``detect`` found, so that every cell of the map is compared with the same free memory."""
    calibrated: bool = True
    traced: bool = False

    def command(self, form: str) -> str:
        """The command line that makes the report in this format."""
        words = command_line(self.model, self.workload, self.plan, self.gpu)
        flags = ["--format", form]
        if self.gpu_index is not None:
            flags += ["--gpu-index", str(self.gpu_index)]
        flags += ["--no-calibration"] if not self.calibrated else []
        flags += ["--trace"] if self.traced else []
        return f"{words} {shlex.join(flags)}"


def fit_map(asked: Asked, answer: Answer) -> FitMap | None:
    """The map around the option that is shown; None where each cell would be a trace."""
    if asked.traced:
        return None
    plan = replace(asked.plan, **fixed_fields(answer))
    rows, columns = axes(answer.workload, asked.plan, shown(answer).plan)

    def ask(values: dict[str, Any]) -> Answer:
        of_workload = {name: value for name, value in values.items() if hasattr(asked.workload, name)}
        of_plan = {name: value for name, value in values.items() if name not in of_workload}
        return api.check(
            answer.model,
            gpu=asked.gpu,
            gpu_index=asked.gpu_index,
            workload=replace(asked.workload, **of_workload),
            plan=replace(plan, **of_plan),
            calibrated=asked.calibrated,
            # A search for each cell, whose sentences a map does not show.
            offloads=False,
            machine=asked.machine,
        )

    return FitMap(rows, columns, tuple(cells(rows, columns, ask)))
