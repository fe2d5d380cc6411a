"""Does it fit, how sure is that, and what stands in the way."""

import math

from vram_advisor.domain.estimate import PHASE_TITLES, Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.units.bytes import gib

FITS, TIGHT = 0.95, 0.5
"""Probabilities from which a plan fits, and fits tightly."""


def normal_cdf(z: float) -> float:
    """Probability that a standard normal number is at most z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def probability_of_fit(mean: float, sd: float, free_bytes: float, free_sd: float) -> float:
    """Probability that a need of mean and standard deviation [B] is below what is free [B]."""
    spread = math.hypot(sd, free_sd)
    if spread == 0:
        return float(mean <= free_bytes)
    return normal_cdf((free_bytes - mean) / spread)


def judge(estimate: Estimate, device: Device | None) -> Verdict:
    """Compare the minimum to run with the memory that is free on the card."""
    where = PHASE_TITLES[estimate.peak.phase]
    need = int(estimate.minimum_mean)
    if device is None:
        return Verdict(
            "unknown",
            None,
            None,
            None,
            f"It needs {gib(need)}; no GPU was found and none was named, so there is nothing to compare with.",
        )
    free = device.free_bytes
    if estimate.share_bytes is not None:
        if estimate.share_bytes > free:
            reason = f"It takes {gib(estimate.share_bytes)} of the card when it starts, and only {gib(free)} are free: lower --gpu-memory-utilization."
            return Verdict("no", 0.0, free, free - estimate.share_bytes, reason)
        free = estimate.share_bytes
    p = probability_of_fit(estimate.minimum_mean, estimate.minimum_sd, free, device.free_sd_bytes)
    headroom = free - need
    if p >= FITS:
        reason = f"It needs {gib(need)} and {gib(free)} are free; the peak is at {where}."
        return Verdict("fits", p, free, headroom, reason)
    if p >= TIGHT:
        reason = (
            f"It needs about {gib(need)} of {gib(free)} free, within the error of the estimate; the peak is at {where}."
        )
        return Verdict("tight", p, free, headroom, reason)
    if estimate.share_bytes is not None:
        reason = f"It needs {gib(need)}, {gib(-headroom)} more than the {gib(free)} that it may take (--gpu-memory-utilization); the peak is at {where}."
        return Verdict("no", p, free, headroom, reason)
    freeable = sum(process.used_bytes or 0 for process in device.processes)
    if (
        freeable
        and probability_of_fit(estimate.minimum_mean, estimate.minimum_sd, device.free_bytes + freeable, 0) >= FITS
    ):
        names = ", ".join(
            f"{q.name or 'a process'} (pid {q.pid}, {gib(q.used_bytes)})" for q in device.processes if q.used_bytes
        )
        reason = (
            f"It needs {gib(need)} and {gib(device.free_bytes)} are free; it would fit if these were closed: {names}."
        )
    else:
        reason = (
            f"It needs {gib(need)}, {gib(-headroom)} more than the {gib(free)} that are free; the peak is at {where}."
        )
    if device.system == "windows":
        return Verdict(
            "spill", p, free, headroom, f"{reason} Windows would move the rest to system memory: 5 to 20 times slower."
        )
    return Verdict("no", p, free, headroom, reason)
