"""Figures of measured runs beside their predictions, and how far the two may be apart.

Needs numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vram_advisor.calibration.prediction import Prediction
from vram_advisor.calibration.priors import GPUS, SIMULATED
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.trial import Backend, Measurement
from vram_advisor.memory.allocator import reserved_residual
from vram_advisor.memory.correction import RESIDUAL
from vram_advisor.memory.overhead import CONTEXT_RESIDUAL
from vram_advisor.units.bytes import MIB

Channel = Literal["resident", "allocated", "reserved", "simulated", "context", "process", "step_seconds"]
"""What a figure is compared with: a field of ``Measurement``; simulated: reserved memory, predicted by a simulated
allocator instead of the closed form of its slack."""
Array = NDArray[np.float64]

OWN_RELATIVE, OWN_BYTES = 0.002, 2 * MIB
"""Error of one phase beside what all phases of a run have in common: blocks that are not split, rounding [B]."""
RESERVED_BYTES = 16 * MIB
"""Error of reserved memory that does not grow with it: segments are 2 to 20 MiB [B]."""
SIMULATED_RELATIVE, SIMULATED_BYTES = 0.005, 6 * MIB
"""The same of a simulated allocator, which no other program and no library disturbs: relative, and its segments [B]."""
FOLLOWED_RELATIVE, FOLLOWED_BYTES = 0.002, 2 * MIB
"""Of reserved memory that one simulated allocator takes for real storages and another for the same storages without
memory: relative, and a segment of small blocks [B]."""
STEP_SD = 0.25
"""Relative error of a step's time: short steps of a few layers wait for the processor, long ones for the card."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a run."""

    channel: Channel
    phase: str
    """A phase of the step; empty where the figure is of the whole run."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Figures of one run whose errors belong together."""

    run: int
    figures: tuple[Figure, ...]
    measured: Array
    whitening: Array
    """Makes errors independent, each with a standard deviation of 1."""
    at_least: bool = False
    """Lower bounds: memory ran out."""

    def predicted(self, prediction: Prediction) -> Array:
        """The same figures as predicted."""
        return np.array([predicted(figure, prediction) for figure in self.figures])

    def error(self, prediction: Prediction) -> Array:
        """Measured less predicted in standard deviations; nothing where a bound is kept."""
        off = self.measured - self.predicted(prediction)
        if self.at_least:
            off = np.maximum(off, 0.0)
        found: Array = self.whitening @ off
        return found


def predicted(figure: Figure, prediction: Prediction) -> float:
    """One figure as predicted: bytes, or the logarithm of seconds."""
    match figure.channel:
        case "resident":
            return float(prediction.resident_bytes)
        case "allocated":
            return float(prediction.phase_bytes[figure.phase] if figure.phase else prediction.allocated_bytes)
        case "reserved":
            return float(prediction.reserved_bytes)
        case "simulated":
            return float(prediction.simulated_bytes or 0)
        case "context":
            return float(prediction.context_bytes)
        case "process":
            return float(prediction.reserved_bytes + prediction.context_bytes)
        case "step_seconds":
            return math.log(prediction.step_seconds or 1.0)


def blocks(run: int, measurement: Measurement, prediction: Prediction) -> Iterator[Block]:
    """What can be compared of a run."""
    if measurement.outcome == "out_of_memory":
        if measurement.allocated_bytes:
            yield allocated_block(run, {Figure("allocated", ""): measurement.allocated_bytes}, at_least=True)
        return
    if measurement.outcome != "measured":
        return
    found = {
        Figure("allocated", phase): nbytes
        for phase, nbytes in measurement.phase_bytes.items()
        if phase in prediction.phase_bytes
    }
    if not found and measurement.allocated_bytes:
        found[Figure("allocated", "")] = measurement.allocated_bytes
    if measurement.resident_bytes:
        found[Figure("resident", "")] = measurement.resident_bytes
    if found:
        yield allocated_block(run, found)
    if measurement.environment.backend in GPUS + SIMULATED and measurement.reserved_bytes:
        sd = reserved_error(measurement.environment.backend, measurement.reserved_bytes)
        yield single(run, "reserved", measurement.reserved_bytes, sd)
        if measurement.simulated_bytes:
            sd = simulated_error(measurement.environment.backend, measurement.reserved_bytes)
            yield single(run, "simulated", measurement.reserved_bytes, sd)
    yield from outside(run, measurement)
    if measurement.step_seconds and prediction.step_seconds:
        yield single(run, "step_seconds", math.log(measurement.step_seconds), STEP_SD)


def reserved_error(backend: Backend, nbytes: int) -> float:
    """Standard deviation of reserved memory around a closed form with the right coefficients [B]."""
    if backend in SIMULATED:
        return math.hypot(SIMULATED_BYTES, SIMULATED_RELATIVE * nbytes)
    return math.hypot(RESERVED_BYTES, reserved_residual(NOMINAL.reserved_sd.value) * nbytes)


def simulated_error(backend: Backend, nbytes: int) -> float:
    """The same around a simulated allocator; on a card, what libraries and its addresses change is not simulated [B]."""
    if backend in SIMULATED:
        return math.hypot(FOLLOWED_BYTES, FOLLOWED_RELATIVE * nbytes)
    return reserved_error(backend, nbytes)


def outside(run: int, measurement: Measurement) -> Iterator[Block]:
    """Memory of the process outside the allocator, or all of it where the allocator says nothing."""
    sd = math.hypot(CONTEXT_RESIDUAL * MIB, measurement.disturbed_bytes)
    process, reserved = measurement.process_bytes, measurement.reserved_bytes
    if measurement.environment.backend not in GPUS:
        return
    if measurement.context_bytes is not None:
        yield single(run, "context", measurement.context_bytes, sd)
    elif process is not None and reserved is not None:
        yield single(run, "context", process - reserved, sd)
    elif process is not None:
        yield single(run, "process", process, math.hypot(sd, NOMINAL.reserved_sd.value * process))


def single(run: int, channel: Channel, value: float, sd: float) -> Block:
    """One figure by itself."""
    return Block(run, (Figure(channel, ""),), np.array([float(value)]), np.array([[1 / sd]]))


def allocated_block(run: int, found: dict[Figure, int], at_least: bool = False) -> Block:
    """Live tensors of one run by phase: what is wrong with the shape of the prediction is wrong in all of them."""
    measured = np.array(list(found.values()), dtype=float)
    own = np.hypot(OWN_BYTES, OWN_RELATIVE * measured)
    covariance = RESIDUAL**2 * np.outer(measured, measured) + np.diag(own**2)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return Block(run, tuple(found), measured, whitening, at_least)
