"""What a sweep asks: models, cards and plans, each with each."""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload

Cell = str | int | float | bool | None
"""A value in a row."""


@dataclass(frozen=True, slots=True)
class Question:
    """One workload and plan, asked of every model on every card."""

    workload: Workload
    plan: Plan


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep:
    """Models x cards x questions: as many rows as the three multiply to."""

    models: tuple[str, ...]
    """Ids of the catalogue."""
    cards: tuple[tuple[str, Device], ...]
    """Ids of the catalogue, with the empty card or cards that a verdict is measured against."""
    questions: tuple[Question, ...]
    columns: tuple[tuple[str, tuple[Cell, ...]], ...]
    """Fields that differ between questions, with the value of each question."""

    @property
    def rows(self) -> int:
        """Answers in all."""
        return len(self.models) * len(self.cards) * len(self.questions)


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep is."""

    models_done: int
    models: int
    rows: int
    """Answers that are written."""
    resumed: int
    """Models whose estimates were there from an earlier run."""
    seconds: float
    """Since this run began [s]."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Swept:
    """A sweep that is done."""

    file: str
    rows: int
    outcomes: tuple[tuple[str, int], ...]
    """Answers of each verdict."""
    progress: SweepProgress
