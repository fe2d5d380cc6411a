"""What measurements correct in a training step: a factor on all that grows with its tokens.

Weights, gradients of weights, optimizer states and copies of weights are counted from the list of tensors and stay as
they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from vram_advisor.domain.amount import Amount, Size, evaluate
from vram_advisor.domain.coefficients import Coefficients, narrowed
from vram_advisor.domain.estimate import Component, Phase
from vram_advisor.memory.resident import fixed

MILLION = 1_000_000
RESIDUAL = 0.003
"""Relative spread of allocated bytes that a factor cannot take away: traced steps of one stack differ by as much from
length to length (docs/method.md, "How good it is")."""


def parts_per_million(coefficients: Coefficients) -> int:
    """``activation_scale`` less 1, in millionths: bytes stay integers."""
    return round((coefficients.activation_scale.value - 1) * MILLION)


def growing(size: Size, values: tuple[Any, ...]) -> Any:
    """The part of a size that grows with batch or length; numbers or arrays [B]."""
    return evaluate((0, *size[1:]), values)


def growing_amounts(amounts: Iterable[Amount], values: tuple[Any, ...]) -> Any:
    """The same for amounts [B]."""
    return sum(a.nbytes(values) for a in amounts if a.rows != "one")


def correction(nbytes: Any, ppm: int) -> Any:
    """What is added to bytes that grow with the tokens; numbers or arrays [B]."""
    return nbytes * ppm // MILLION


def correction_components(by_phase: dict[Phase, int], ppm: int, values: tuple[int, ...]) -> list[Component]:
    """The correction of each phase; equal ones are listed once.

    Args:
        by_phase: what grows with the tokens [B].
        ppm: the correction in millionths.
        values: the workload.
    """
    alive: dict[int, list[Phase]] = {}
    for phase, nbytes in by_phase.items():
        alive.setdefault(nbytes, []).append(phase)
    per_cent = f"{ppm / 1e4:+.2f}".rstrip("0").rstrip(".") + " %"
    return [
        Component(
            "correction",
            f"measured correction: {per_cent} of what grows with the tokens",
            correction(nbytes, ppm),
            (fixed(f"{per_cent} of {nbytes:,} B", correction(nbytes, ppm), "correction"),),
            values,
            tuple(phases),
            "calibration on measured runs: docs/method.md, Calibration",
        )
        for nbytes, phases in alive.items()
        if ppm and nbytes
    ]


def measured_sd(
    nominal: float, allocated: int, growing_bytes: int, workspace: float, coefficients: Coefficients
) -> float:
    """Relative spread of allocated bytes.

    Args:
        nominal: spread that the evidence for the recipe leaves; it holds where nothing was measured.
        allocated: bytes of the phase [B].
        growing_bytes: what of them grows with the tokens [B].
        workspace: spread of the workspaces [B].
        coefficients: measured numbers.
    """
    scale = coefficients.activation_scale
    if "activation_scale" not in coefficients.learnt or not allocated:
        return nominal
    share = growing_bytes / allocated
    learnt = math.hypot(scale.sd * share, workspace / allocated)
    return narrowed(nominal, RESIDUAL, learnt, (scale.value - 1) * share)
