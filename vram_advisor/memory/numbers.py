"""The four numbers of an answer, each with its 90 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Interval, Peak, Phase, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.memory.allocator import FIXED_SHARE, Humps, Slack, reserved_spread, slack, unavoidable
from vram_advisor.memory.overhead import context_bytes

Q90 = 1.6448536269514722
"""Standard deviations on each side of a 90 % interval."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The peak, and what the verdict is computed from."""

    peak: Peak
    minimum_mean: float
    """Mean of the minimum to run [B]."""
    minimum_sd: float
    """Its standard deviation [B]."""


def interval(mid: float, sd: float) -> Interval:
    """The 90 % interval of a normal number [B]."""
    return Interval(max(0, int(mid - Q90 * sd)), int(mid), int(mid + Q90 * sd))


def ordered(phase: Phase, allocated: Interval, reserved: Interval, process: Interval, minimum: Interval) -> Peak:
    """The four numbers, none below what it contains: reserved holds allocated, process holds both and the minimum."""
    reserved = Interval(max(reserved.low, allocated.low), reserved.mid, max(reserved.high, allocated.high))
    process = Interval(max(process.low, reserved.low), process.mid, max(process.high, reserved.high))
    low = min(max(minimum.low, allocated.low), minimum.mid)
    high = max(min(minimum.high, process.high), minimum.mid)
    return Peak(phase, allocated, reserved, process, Interval(low, minimum.mid, high))


def four_numbers(
    top: PhasePeak,
    resident: int,
    humps: Humps,
    relative_sd: float,
    device: Device | None,
    coefficients: Coefficients,
    communication: tuple[float, float] = (0.0, 0.0),
    simulated: Slack | None = None,
) -> Numbers:
    """Allocated, reserved, process and minimum at the worst phase [B].

    Args:
        top: the worst phase and what is allocated in it.
        resident: what of it is there in every step, whatever the batch [B].
        humps: what comes and goes, for the allocator's slack.
        relative_sd: spread of the allocated bytes that the evidence leaves.
        device: the card; reserved memory cannot exceed what it has.
        coefficients: measured numbers.
        communication: mean and standard deviation of communication libraries [B].
        simulated: the slack of a simulated allocator; None: that of the humps.
    """
    allocated = float(top.allocated_bytes)
    context, context_sd = context_bytes(device, coefficients)
    context += int(communication[0])
    context_sd = math.hypot(context_sd, communication[1])
    found = simulated or slack(top.allocated_bytes, humps, coefficients)
    least = allocated * (1 + FIXED_SHARE)
    reserved = max(allocated + found.nbytes, least)
    if device is not None:
        room = device.total_bytes * 0.99 - context
        if least <= room:
            # Under pressure cached blocks are given back; what does not fit at all keeps its full demand.
            reserved = min(reserved, room)
    own = found.relative_sd if simulated else reserved_spread(top.allocated_bytes, found, coefficients)
    spread = math.hypot(own, relative_sd)
    minimum = allocated + FIXED_SHARE * resident + unavoidable(humps) * max(0, allocated - resident) + context
    minimum = min(minimum, reserved + context)
    minimum_sd = math.hypot(allocated * coefficients.minimum_sd.value, context_sd, allocated * relative_sd)
    peak = ordered(
        top.phase,
        interval(allocated, allocated * relative_sd),
        interval(reserved, reserved * spread),
        interval(reserved + context, math.hypot(reserved * spread, context_sd)),
        interval(minimum, minimum_sd),
    )
    return Numbers(peak, minimum, minimum_sd)
