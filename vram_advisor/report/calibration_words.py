"""Which measurements an answer rests on, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vram_advisor.units.bytes import GIB, MIB

if TYPE_CHECKING:
    from datetime import datetime

    from vram_advisor.domain.answer import Answer, AppliedCalibration
    from vram_advisor.domain.calibration import Learnt
    from vram_advisor.domain.gpu import Device

NOMINAL = "nominal coefficients, not calibrated"
DIFFERENCES = {
    "torch": "another version of PyTorch",
    "driver": "another driver",
    "levers": "other kernels",
    "allocator": "another setting of the allocator",
    "program": "another version of this program",
}
"""Why less of a calibration counts."""
NAMES = {
    "activation_scale": "activations",
    "slack_scale": "allocator slack",
    "slack_constant": "constant slack",
    "simulation_scale": "simulated allocator",
    "throughput_efficiency": "speed",
    "context_base": "context",
    "cublas_workspace": "workspaces",
    "cublas_workspace_hopper": "workspaces",
}
"""Coefficients as people call them."""
DAYS = 60
"""Older than this is said by its date."""


def rests_on(answer: Answer, now: datetime | None = None) -> str:
    """What corrected the answer, and how far; the age only where the time is given.

    Args:
        answer: the answer.
        now: the time, UTC.
    """
    return corrected_by(answer.calibration, answer.device, answer.workload.trains, now)


def corrected_by(
    applied: AppliedCalibration | None, device: Device | None, trains: bool, now: datetime | None = None
) -> str:
    """The same of an answer about a card that has several models, or several cards.

    Args:
        applied: what corrected it; None: nothing.
        device: the card that the answer is about.
        trains: whether it is about a fine-tune.
        now: the time, UTC.
    """
    if applied is None:
        return NOMINAL
    said = f"calibrated {_where(applied, device, trains)} {age(applied.created, now)} ({corrections(applied.learnt)})"
    if applied.differs:
        said += f"; less of it counts: {', '.join(DIFFERENCES[each] for each in applied.differs)}"
    return said


def corrections(learnt: Iterable[Learnt]) -> str:
    """``activations ×1.02, context −40 MiB``; a coefficient whose bound was hit is marked."""
    rows = [correction(row) + (" at its bound" if row.bounded else "") for row in learnt]
    return ", ".join(rows) or "nothing learnt"


def correction(row: Learnt) -> str:
    """One coefficient and how far it was moved."""
    if row.name == "context_base":
        return f"{NAMES[row.name]} {_signed(row.value - row.prior)} MiB"
    if row.name == "slack_constant":
        return f"{NAMES[row.name]} {_signed((row.value - row.prior) * GIB / MIB)} MiB"
    if row.name in ("cublas_workspace", "cublas_workspace_hopper"):
        return f"{NAMES[row.name]} {_signed((row.value - row.prior) / MIB)} MiB"
    return f"{NAMES[row.name]} ×{row.value:.3g}" if row.value < 1 else f"{NAMES[row.name]} ×{row.value:.2f}"


def age(created: str, now: datetime | None) -> str:
    """How long ago a time of ISO 8601 was, or on what day."""
    day = f"on {created[:10]}"
    if now is None:
        return day
    from datetime import datetime as parser

    try:
        days = (now.date() - parser.fromisoformat(created).date()).days
    except ValueError:
        return day
    if not 0 <= days <= DAYS:
        return day
    return ("today", "yesterday")[days] if days < 2 else f"{days} days ago"


def _where(applied: AppliedCalibration, device: Device | None, trains: bool) -> str:
    this = "this GPU" if device is not None and device.source == "detected" else "a GPU of this kind"
    match applied.kinship:
        case "gpu and recipe":
            return f"on {this}"
        case "gpu" if trains:
            return f"on {this} with another recipe, {applied.key.recipe},"
        case "gpu":
            return f"on {this} by a fine-tune"
        case "recipe":
            return f"with this recipe on another GPU, {applied.key.gpu},"


def _signed(number: float) -> str:
    return f"{'−' if round(number) < 0 else '+'}{abs(round(number))}"
