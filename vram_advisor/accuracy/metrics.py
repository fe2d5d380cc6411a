"""Figures that say how good predictions are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scored:
    """One figure of one row, measured and predicted [B or tokens/s]."""

    id: str
    source: str
    method: str
    meter: str
    quality: str
    measured: float
    resolution: float
    low: float
    mid: float
    high: float
    program: str = ""
    """Of an inference run, as figures are summed up by it."""

    @property
    def error(self) -> float:
        """Relative error beyond what the printed figure can resolve."""
        return max(0.0, abs(self.mid - self.measured) - self.resolution / 2) / self.measured

    @property
    def signed(self) -> float:
        """Relative difference, positive where too much is predicted."""
        return (self.mid - self.measured) / self.measured

    @property
    def under(self) -> bool:
        """Predicted more than 10 % too low."""
        return self.mid < 0.9 * self.measured

    @property
    def covered(self) -> bool:
        """The 90 % interval holds the figure as it is printed."""
        return self.low - self.resolution / 2 <= self.measured <= self.high + self.resolution / 2


@dataclass(frozen=True, slots=True)
class Figures:
    """Six figures over some rows."""

    rows: int
    median_abs_error: float
    p90_abs_error: float
    bias: float
    under_10: float
    coverage_90: float


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile, linear between the two nearest values."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def figures(rows: Sequence[Scored]) -> Figures:
    """The six figures of at least one row."""
    errors = [row.error for row in rows]
    n = len(rows)
    return Figures(
        rows=n,
        median_abs_error=quantile(errors, 0.5),
        p90_abs_error=quantile(errors, 0.9),
        bias=sum(row.signed for row in rows) / n,
        under_10=sum(row.under for row in rows) / n,
        coverage_90=sum(row.covered for row in rows) / n,
    )


def mean(parts: Sequence[Figures]) -> Figures:
    """The plain mean of the figures of several sources; rows are added up."""
    n = len(parts)
    return Figures(
        rows=sum(p.rows for p in parts),
        median_abs_error=sum(p.median_abs_error for p in parts) / n,
        p90_abs_error=sum(p.p90_abs_error for p in parts) / n,
        bias=sum(p.bias for p in parts) / n,
        under_10=sum(p.under_10 for p in parts) / n,
        coverage_90=sum(p.coverage_90 for p in parts) / n,
    )
