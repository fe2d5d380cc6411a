"""What the screen is a view of: one frozen question. Undo is a list of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.report.command import command_line
from vram_advisor.tui.knobs import effective, heeded, knobs

START = "qwen3-8b"
"""The model of the first screen."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A model, a card, an ask and its levers."""

    model: str = START
    gpu: str | None = None
    """A card of the catalogue; None: the one in this machine."""
    gpu_index: int | None = None
    workload: Workload = field(default_factory=lambda: Workload(method="lora"))
    plan: Plan = field(default_factory=Plan)

    def value(self, name: str) -> Any:
        """The value of a field of the ask or the levers."""
        return getattr(self.workload if knobs()[name].record is Workload else self.plan, name)

    def having(self, **values: Any) -> Situation:
        """The same with other values of such fields. Raises BadInput."""
        asked = {name: value for name, value in values.items() if knobs()[name].record is Workload}
        pulled = {name: value for name, value in values.items() if knobs()[name].record is Plan}
        return replace(self, workload=replace(self.workload, **asked), plan=replace(self.plan, **pulled))

    def asked(self) -> Situation:
        """The same question without settings that have no effect on it."""
        workload, plan = effective(self.workload, self.plan)
        return replace(self, workload=workload, plan=plan)

    def command(self, name: str = "check", settings: Mapping[str, Any] | None = None) -> str:
        """The command line that asks the same, where the file of settings says this."""
        asked = self.asked()
        said = {key: value for key, value in (settings or {}).items() if heeded(key, asked.workload)}
        line = command_line(asked.model, asked.workload, asked.plan, asked.gpu, name, said)
        return line if self.gpu_index is None or self.gpu is not None else f"{line} --gpu-index {self.gpu_index}"
