"""The four numbers of an answer, each with its 90 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Interval, Peak, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.memory.allocator import Q90, reserved_factor
from vram_advisor.memory.overhead import context_bytes
from vram_advisor.memory.setup import Setup
from vram_advisor.memory.step import Candidate


@dataclass(frozen=True, slots=True)
class Numbers:
    """The peak, and what the verdict is computed from."""

    peak: Peak
    minimum_mean: float
    minimum_sd: float


def four_numbers(
    setup: Setup,
    totals: dict[str, int],
    top: PhasePeak,
    candidate: Candidate | None,
    values: tuple[int, ...],
    device: Device | None,
    coefficients: Coefficients,
) -> Numbers:
    """Allocated, reserved, process and minimum at the worst phase [B]."""
    allocated = float(top.allocated_bytes)
    relative = setup.recipe.activation_sd
    mean, sd = reserved_factor(coefficients)
    context, context_sd = context_bytes(device, coefficients)
    reserved = allocated * math.exp(mean)
    spread = math.hypot(sd, relative)
    process_sd = math.hypot(reserved * spread, context_sd)
    minimum = allocated * math.exp(0.5 * mean) + context
    minimum_sd = math.hypot(allocated * 0.03, context_sd, allocated * relative)

    def interval(mid: float, sd: float) -> Interval:
        return Interval(max(0, int(mid - Q90 * sd)), int(mid), int(mid + Q90 * sd))

    peak = Peak(
        top.phase,
        interval(allocated, allocated * relative),
        interval(reserved, reserved * spread),
        interval(reserved + context, process_sd),
        interval(minimum, minimum_sd),
    )
    return Numbers(peak, minimum, minimum_sd)
