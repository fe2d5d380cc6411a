"""Energy and money of work on GPUs: board power times its use times time.

What the rest of the computer draws is not in it, unless it is given.
"""

from __future__ import annotations

from vram_advisor.domain.efficiencies import Efficiency
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.throughput import Span, spread

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0


def watts(gpu: GpuSpec, use: Efficiency, gpus: int = 1) -> float | None:
    """Mean power of so many GPUs at work [W]; None where the catalogue has no board power."""
    return None if gpu.tdp_w is None else gpu.tdp_w * use.value * gpus


def energy(
    seconds: Span, sd: float, gpu: GpuSpec, use: Efficiency, gpus: int = 1, other_watts: float = 0.0
) -> Span | None:
    """Energy of a time at work [kWh]; None where the catalogue has no board power.

    Args:
        seconds: how long [s].
        sd: standard deviation of its logarithm.
        use: share of the board power, one of the entries ``power_*`` of the efficiencies.
        other_watts: what the rest of the computer draws [W].
    """
    power = watts(gpu, use, gpus)
    if power is None:
        return None
    mid = (power + other_watts) * seconds.mid / JOULES_PER_KWH
    return spread(mid, (sd * sd + use.sd * use.sd) ** 0.5)


def cost(
    kwh: Span | None, seconds: Span, price_per_kwh: float | None, rent_per_hour: float | None = None
) -> Span | None:
    """Money for energy, and for hours of rent; None where no price is given or the energy is not known.

    Args:
        kwh: energy [kWh].
        seconds: how long [s].
        price_per_kwh, rent_per_hour: in the caller's currency; the rent is that of all GPUs together.
    """
    if price_per_kwh is None and rent_per_hour is None:
        return None
    if price_per_kwh is not None and kwh is None:
        return None
    per_kwh, per_hour = price_per_kwh or 0.0, (rent_per_hour or 0.0) / SECONDS_PER_HOUR
    used = kwh or Span(0.0, 0.0, 0.0)
    return Span(*(
        per_kwh * e + per_hour * s
        for e, s in ((used.low, seconds.low), (used.mid, seconds.mid), (used.high, seconds.high))
    ))  # fmt: skip


def tokens_per_joule(tokens_per_second: Span, sd: float, gpu: GpuSpec, use: Efficiency, gpus: int = 1) -> Span | None:
    """Tokens for one joule of the GPUs; None where the catalogue has no board power."""
    power = watts(gpu, use, gpus)
    if power is None:
        return None
    return spread(tokens_per_second.mid / power, (sd * sd + use.sd * use.sd) ** 0.5)
