"""A calibration as JSON: one object per event, the last with all that came of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.protocol import Progress, Protocol

if TYPE_CHECKING:
    from vram_advisor.calibration.calibrate import Calibrated
    from vram_advisor.calibration.fit import Compared

UNITS = {"step_seconds": "seconds"}
"""Unit of a figure that is not in bytes."""


def planned_document(protocol: Protocol) -> dict[str, Any]:
    """What will run."""
    return {
        "event": "planned",
        "schema_version": SCHEMA_VERSION,
        "model": protocol.model.id,
        "backend": protocol.backend,
        "device": protocol.device and protocol.device.name,
        "free_bytes": protocol.device and protocol.device.free_bytes,
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


def progress_document(progress: Progress) -> dict[str, Any]:
    """What happened; what does not apply is left out."""
    return {name: value for name, value in asdict(progress).items() if value not in (None, "", 0)}


def calibrated_document(done: Calibrated) -> dict[str, Any]:
    """What came of it, with every measurement."""
    return {
        "event": "calibrated",
        "schema_version": SCHEMA_VERSION,
        "calibration": asdict(done.calibration),
        "compared": [_figure(figure) for figure in done.compared],
        "notes": list(done.notes),
        "saved": done.saved,
    }


def _figure(figure: Compared) -> dict[str, Any]:
    unit = UNITS.get(figure.channel, "bytes")
    return {
        "run": figure.run + 1,
        "figure": figure.channel,
        "phase": figure.phase or None,
        f"before_{unit}": figure.before,
        f"measured_{unit}": figure.measured,
        f"after_{unit}": figure.after,
        "weight": round(figure.weight, 3),
        "at_least": figure.at_least,
    }
