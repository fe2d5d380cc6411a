"""What ``check`` answers: options side by side, each with its estimate and verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vram_advisor.domain.estimate import Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe

if TYPE_CHECKING:
    from vram_advisor.domain.advice import Advice

    # A calibration carries its measurements, whose records nobody needs for an answer without one.
    from vram_advisor.domain.calibration import CalibrationKey, Learnt

SCHEMA_VERSION = 1

Kinship = Literal["gpu and recipe", "gpu", "recipe"]
"""What a calibration has in common with a question."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AppliedCalibration:
    """Which measurements corrected the answer; None in an answer means nominal coefficients."""

    id: str
    created: str
    """UTC, ISO 8601 with seconds."""
    key: CalibrationKey
    """Where it was made."""
    kinship: Kinship
    differs: tuple[str, ...]
    """What is not the same, so that less of it counts: torch, driver, levers, allocator, program."""
    learnt: tuple[Learnt, ...]
    """As far as it counts here."""


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


@dataclass(frozen=True, slots=True)
class Download:
    """What has to be on disk for an option to run."""

    name: str
    """Repository of the hub, or a model and the type of its file."""
    nbytes: int | None
    """Of the weights, which is all but a few MiB [B]; None: not known."""
    present: bool
    """It is on this machine already."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """Everything a face shows."""

    model: ModelSpec
    parameters: int
    active_parameters: int
    workload: Workload
    device: Device | None
    calibration: AppliedCalibration | None
    """Of the option that is shown."""
    options: tuple[Option, ...]
    recommended: int | None
    smallest_gpus: tuple[SmallestGpu, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    advices: tuple[Advice, ...] = ()
    """The best changes that would make it fit, where it does not and they were asked for."""
    download: Download | None = None
    """For the option that is shown; None where the model is a file of this machine."""
