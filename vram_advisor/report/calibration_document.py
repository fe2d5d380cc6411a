"""A calibration as JSON: one object per event, the last with all that came of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.calibration import Calibration
from vram_advisor.domain.protocol import Happening, Progress, Protocol
from vram_advisor.domain.trial import Backend

if TYPE_CHECKING:
    from vram_advisor.calibration.calibrate import Calibrated
    from vram_advisor.calibration.fit import Compared

UNITS = {"step_seconds": "seconds"}
"""Unit of a figure that is not in bytes."""


class PlannedRunDocument(TypedDict):
    """One run before it starts."""

    layers: int
    micro_batch_size: int
    sequence_length: int
    steps: int
    needed_bytes: int
    """Upper end of the estimate of what it takes from its device."""
    seconds: int


class PlannedDocument(TypedDict):
    """The first line of ``calibrate --json``: what will run."""

    event: Literal["planned"]
    schema_version: int
    model: str
    backend: Backend
    device: str | None
    free_bytes: int | None
    seconds: int
    runs: list[PlannedRunDocument]
    notes: list[str]


class ProgressDocument(TypedDict):
    """A line of ``calibrate --json`` between the first and the last: what does not apply is left out."""

    event: Happening
    run: NotRequired[int]
    """Number of the run, from 1."""
    runs: NotRequired[int]
    step: NotRequired[int]
    steps: NotRequired[int]
    message: NotRequired[str]
    allocated_bytes: NotRequired[int]
    """Largest so far."""
    seconds: NotRequired[float]
    """Of the step."""


class ComparedFigureDocument(TypedDict):
    """One figure of one run, predicted and measured; in bytes, or in seconds for the time of a step."""

    run: int
    figure: str
    phase: str | None
    before_bytes: NotRequired[float]
    measured_bytes: NotRequired[float]
    after_bytes: NotRequired[float]
    before_seconds: NotRequired[float]
    measured_seconds: NotRequired[float]
    after_seconds: NotRequired[float]
    weight: float
    """How much it counts in the fit."""
    at_least: bool
    """The figure is a lower bound."""


class CalibratedDocument(TypedDict):
    """The last line of ``calibrate --json``."""

    event: Literal["calibrated"]
    schema_version: int
    calibration: Calibration
    compared: list[ComparedFigureDocument]
    notes: list[str]
    saved: str | None
    """File that it is kept in; null: it is not kept."""


def planned_document(protocol: Protocol) -> PlannedDocument:
    """What will run."""
    return {
        "event": "planned",
        "schema_version": SCHEMA_VERSION,
        "model": protocol.model.id,
        "backend": protocol.backend,
        "device": None if protocol.device is None else protocol.device.name,
        "free_bytes": None if protocol.device is None else protocol.device.free_bytes,
        "seconds": round(protocol.seconds),
        "runs": [
            {
                "layers": run.depth,
                "micro_batch_size": run.trial.workload.micro_batch_size,
                "sequence_length": run.trial.workload.sequence_length,
                "steps": run.trial.steps,
                "needed_bytes": run.needed_bytes,
                "seconds": round(run.seconds),
            }
            for run in protocol.runs
        ],
        "notes": list(protocol.notes),
    }


def progress_document(progress: Progress) -> ProgressDocument:
    """What happened; what does not apply is left out."""
    told = {name: value for name, value in asdict(progress).items() if value not in (None, "", 0)}
    return cast("ProgressDocument", told)


def calibrated_document(done: Calibrated) -> CalibratedDocument:
    """What came of it, with every measurement."""
    calibration: Any = asdict(done.calibration)
    return {
        "event": "calibrated",
        "schema_version": SCHEMA_VERSION,
        "calibration": calibration,
        "compared": [_figure(figure) for figure in done.compared],
        "notes": list(done.notes),
        "saved": done.saved,
    }


def _figure(figure: Compared) -> ComparedFigureDocument:
    unit = UNITS.get(figure.channel, "bytes")
    told = {
        "run": figure.run + 1,
        "figure": figure.channel,
        "phase": figure.phase or None,
        f"before_{unit}": figure.before,
        f"measured_{unit}": figure.measured,
        f"after_{unit}": figure.after,
        "weight": round(figure.weight, 3),
        "at_least": figure.at_least,
    }
    return cast("ComparedFigureDocument", told)
