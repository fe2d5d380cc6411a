"""How fast: seconds, tokens per second, what the time is made of and what limits it.

Figures are numbers, or arrays where batches or lengths were arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vram_advisor.units.grid import Number

Resource = Literal["compute", "bandwidth", "launch", "interconnect", "pcie", "host"]
"""What a term takes its time from: the matrix units, the memory of the card, the processor that starts kernels, the
connection between GPUs, the bus to the host, the memory of the host."""

WorkUnit = Literal["FLOP", "B", "launches"]

RESOURCE_TITLES: dict[Resource, str] = {
    "compute": "arithmetic",
    "bandwidth": "memory bandwidth of the card",
    "launch": "starting kernels",
    "interconnect": "the connection between the GPUs",
    "pcie": "the PCIe bus",
    "host": "memory bandwidth of the computer",
}
UNITS: dict[WorkUnit, str] = {"FLOP": "FLOP/s", "B": "B/s", "launches": "/s"}
"""Units of work, and of the rate at which it is done."""
Q95 = 1.645
"""Quantile of the normal distribution that 95 % stay below."""
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Span:
    """A 90 % interval and its middle."""

    low: Number
    mid: Number
    high: Number


def spread(mid: Number, sd: Number) -> Span:
    """The interval of a quantity whose logarithm has a standard deviation."""
    factor = math.e ** (Q95 * sd)
    return Span(mid / factor, mid, mid * factor)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SpeedTerm:
    """Work that is done at a share of a rate: ``work / (rate x efficiency)`` seconds."""

    label: str
    resource: Resource
    work: Number
    """In one step [FLOP, B or launches]."""
    unit: WorkUnit
    rate: float
    """What the hardware could do [unit/s]."""
    efficiency: float
    sd: float
    """Standard deviation of the logarithm of the efficiency."""
    reference: str

    @property
    def seconds(self) -> Number:
        """Time that the term alone would take in one step [s]."""
        return self.work / (self.rate * self.efficiency)

    @property
    def sentence(self) -> str:
        """``21.3 TFLOP at 312 TFLOP/s x 0.68 (products with the weights)``."""
        share = "" if self.efficiency == 1 else f" x {self.efficiency:.2g}"
        return f"{_scaled(self.work, self.unit)} at {_scaled(self.rate, UNITS[self.unit])}{share} ({self.label})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Speed:
    """How long one step takes: an optimizer step, reading one prompt, generating one token."""

    seconds_per_step: Span
    """[s]."""
    tokens_per_second: Span
    """Over all GPUs and sequences [tokens/s]."""
    tokens_per_step: Number
    terms: tuple[SpeedTerm, ...]
    """What the time is made of. Terms of different resources partly run at the same time, so the step is shorter than
    their sum."""
    sd: Number
    """Standard deviation of the logarithm of the time."""
    notes: tuple[str, ...] = ()

    @property
    def limit(self) -> Resource:
        """The resource that takes longest; for figures that are numbers."""
        totals: dict[Resource, float] = {}
        for term in self.terms:
            totals[term.resource] = totals.get(term.resource, 0.0) + float(term.seconds)
        return max(totals, key=lambda resource: totals[resource])


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Lengths of the examples of a dataset [tokens]."""

    examples: int
    tokens: int
    """Of all examples."""
    percentiles: tuple[tuple[int, int], ...]
    """Per cent, and the length that so many examples do not exceed."""
    longest: int
    """Length of the longest example."""
    longest_index: int
    """Which it is, counted from 0."""
    cut: int
    """Examples that are longer than the sequence length and are cut to it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Job:
    """A fine-tune on a dataset."""

    lengths: LengthSummary | None
    """None where only the sum of all tokens is known."""
    steps: int
    """Optimizer steps."""
    computed_tokens: int
    """Over all steps, padding included."""
    padding_share: float
    """Share of them that is padding."""
    seconds: Span
    """[s]."""
    kwh: Span | None
    """Of the GPUs [kWh]; None where their power is not known."""
    cost: Span | None
    """In ``currency``; None where no price was given, or energy is not known."""
    currency: str | None


def _scaled(value: float, unit: str) -> str:
    if unit in ("launches", "/s"):
        return f"{value:,.0f} {unit}" if unit == "launches" else f"{value:,.0f}{unit}"
    for size, prefix in PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
