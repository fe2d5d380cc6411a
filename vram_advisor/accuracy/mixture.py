"""Quantiles over the runs that a row could mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vram_advisor.domain.estimate import Interval

Q90 = 1.6448536269514722


def mixed(parts: Sequence[tuple[float, Interval]]) -> tuple[float, float, float]:
    """The 5 %, 50 % and 95 % quantiles of a weighted mixture of normal numbers.

    Args:
        parts: weights that sum to one, and the 90 % interval of each number.
    """
    if len(parts) == 1:
        only = parts[0][1]
        return float(only.low), float(only.mid), float(only.high)
    return tuple(_quantile(parts, q) for q in (0.05, 0.5, 0.95))  # type: ignore[return-value]


def _quantile(parts: Sequence[tuple[float, Interval]], q: float) -> float:
    low = min(p.low for _, p in parts) - 1.0
    high = max(p.high for _, p in parts) + 1.0
    for _ in range(60):
        mid = (low + high) / 2
        if sum(weight * _cdf(mid, part) for weight, part in parts) < q:
            low = mid
        else:
            high = mid
    return (low + high) / 2


def _cdf(x: float, part: Interval) -> float:
    sd = (part.high - part.low) / (2 * Q90)
    if sd == 0:
        return float(x >= part.mid)
    return 0.5 * math.erfc((part.mid - x) / (sd * math.sqrt(2)))
