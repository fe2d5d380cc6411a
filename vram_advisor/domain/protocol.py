"""Runs that a calibration makes: what is planned, what happens meanwhile, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.trial import Backend, Trial


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlannedRun:
    """One trial before it starts."""

    trial: Trial
    model: ModelSpec
    """The model at the depth that runs."""
    depth: int
    """Layers."""
    needed_bytes: int
    """Upper end of the estimate of what it takes from its device [B]."""
    seconds: float
    """Rough time, start included [s]."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Protocol:
    """The trials of a calibration, all of which fit."""

    model: ModelSpec
    """The whole model."""
    runs: tuple[PlannedRun, ...]
    backend: Backend
    device: Device | None
    """None: no memory limits the runs, or how much there is is not known."""
    gpu_index: int | None = None
    """Which GPU was asked for; None: the first that programs see."""
    notes: tuple[str, ...] = ()
    """What was changed from what was asked, and how a dataset was counted, each as a sentence."""

    @property
    def needed_bytes(self) -> int:
        """Of the largest trial [B]; they run one after another."""
        return max(run.needed_bytes for run in self.runs)

    @property
    def seconds(self) -> float:
        """Rough time of all trials [s]."""
        return sum(run.seconds for run in self.runs)


Happening = Literal["planned", "run", "started", "built", "step", "measured", "lost", "simulating", "fitted", "saved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Something happened during a calibration."""

    event: Happening
    """run: a trial begins; lost: it ended without a measurement; simulating: the steps of all of them are played through
    a simulated allocator; the rest says what it is."""
    run: int = 0
    """Number of the trial, from 1; 0: about all of them."""
    runs: int = 0
    step: int = 0
    steps: int = 0
    message: str = ""
    allocated_bytes: int | None = None
    """Largest so far [B]."""
    seconds: float | None = None
    """Of the step [s]."""
