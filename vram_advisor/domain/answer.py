"""What ``check`` answers: options side by side, each with its estimate and verdict."""

from dataclasses import dataclass

from vram_advisor.domain.estimate import Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Calibration:
    """Which measurements corrected the answer; None in an answer means nominal coefficients."""

    id: str
    date: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Option:
    """One way to do it."""

    title: str
    """What a person calls it: FP16, Q8, Q4, mixed precision ..."""
    plan: Plan
    recipe: Recipe
    estimate: Estimate
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SmallestGpu:
    """The smallest card that one option fits."""

    option: int
    """Index in ``Answer.options``."""
    id: str
    name: str
    total_bytes: int
    probability: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """Everything a face shows."""

    model: ModelSpec
    parameters: int
    active_parameters: int
    workload: Workload
    device: Device | None
    calibration: Calibration | None
    options: tuple[Option, ...]
    recommended: int | None
    smallest_gpus: tuple[SmallestGpu, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
