"""Rates of a card, and how the times of its parts become one.

A term takes ``work / (rate x efficiency)``. Terms of one stream follow each other; streams (kernels being started,
kernels running, transfers) overlap, though never perfectly: the longest decides, and the others show where they are
nearly as long. Source of the bound: Williams, Waterman, Patterson 2009, "Roofline".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vram_advisor.domain.coefficients import Coefficients, narrowed
from vram_advisor.domain.efficiencies import Efficiency, compute_capability
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.throughput import Resource, Speed, SpeedTerm, WorkUnit, spread
from vram_advisor.units.grid import Number, largest

TERA = 1e12
GIGA = 1e9
OVERLAP = 4
"""Exponent of the sum of streams that run side by side, assumed: infinity would be a perfect maximum."""
OVERLAP_GATHERED = 2
"""The same for weights that are gathered layer by layer, assumed: each layer waits for its own."""
RESIDUAL = 0.05
"""Spread of ln(speed) that stays however often one machine is measured: repeated steps and lengths differ by as much."""

PCIE = {"1.0": 0.25, "1.1": 0.25, "2.0": 0.5, "3.0": 0.985, "4.0": 1.969, "5.0": 3.938, "6.0": 7.563}
"""Rate of one lane in one direction by generation [10^9 B/s] (PCI-SIG)."""
PCIE_LANES = 16
NVLINK = ((10.0, 900.0), (9.0, 450.0), (8.0, 300.0), (7.0, 150.0))
"""Rate in one direction of SXM cards from a compute capability on [10^9 B/s] (NVIDIA data sheets; half of both)."""
HOST_GB_PER_S = 80.0
"""Bandwidth of system memory where it is not given: two channels of DDR5-5200 [10^9 B/s]."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection, with the share of its rate that programs reach."""

    rate: float
    """In one direction [B/s]."""
    nvlink: bool


def matrix_rate(gpu: GpuSpec, dtype: str) -> float | None:
    """Dense rate of products with fp32 accumulation in a dtype [FLOP/s]; None where the catalogue has none.

    A card without bf16 units computes it at the rate of fp32; Apple's GPUs have no matrix units of their own.
    """
    plain = gpu.fp32_tflops * TERA if gpu.fp32_tflops else None
    if dtype == "fp32" or (dtype == "bf16" and not gpu.bf16 and gpu.vendor == "NVIDIA"):
        return plain
    return gpu.fp16_tflops * TERA if gpu.fp16_tflops else plain


def half_accumulated_rate(gpu: GpuSpec) -> float | None:
    """Dense 16-bit rate with 16-bit accumulation [FLOP/s]: on GeForce cards twice that with fp32."""
    rate = matrix_rate(gpu, "fp16")
    if rate is None or gpu.vendor != "NVIDIA" or gpu.fp32_tflops is None:
        return rate
    return max(rate, 4 * gpu.fp32_tflops * TERA) if compute_capability(gpu) >= 8.0 else rate


def bandwidth(gpu: GpuSpec) -> float | None:
    """Of the card's memory [B/s]."""
    return gpu.bandwidth_gb_per_s * GIGA if gpu.bandwidth_gb_per_s else None


def pcie_rate(gpu: GpuSpec) -> float:
    """Of the bus to the host in one direction [B/s]; 4.0 x16 where the catalogue does not say."""
    generation, _, lanes = (gpu.pcie or "4.0 x16").partition(" x")
    per_lane = PCIE.get(generation.strip(), PCIE["4.0"])
    return per_lane * (int(lanes) if lanes.strip().isdigit() else PCIE_LANES) * GIGA


def peer_link(gpu: GpuSpec, gb_per_s: float | None) -> Link:
    """The connection between the GPUs: as given, NVLink on SXM modules, else PCIe."""
    if gb_per_s is not None:
        return Link(gb_per_s * GIGA, gb_per_s * GIGA > 2 * pcie_rate(gpu))
    if "sxm" in gpu.id or "sxm" in gpu.form.lower():
        for capability, rate in NVLINK:
            if compute_capability(gpu) >= capability:
                return Link(rate * GIGA, True)
    return Link(pcie_rate(gpu), False)


def term(
    label: str, resource: Resource, work: Number, unit: WorkUnit, rate: float, efficiency: Efficiency
) -> SpeedTerm:
    """A term from an entry of the efficiencies."""
    return SpeedTerm(
        label,
        resource,
        work,
        unit,
        rate,
        efficiency.value,
        efficiency.sd,
        efficiency.reference,
    )


def launches(label: str, count: Number, seconds: Efficiency) -> SpeedTerm:
    """Launches that take so many seconds each."""
    return SpeedTerm(label, "launch", count, "launches", 1 / seconds.value, 1.0, seconds.sd, seconds.reference)


def total(terms: Sequence[SpeedTerm]) -> Number:
    """Seconds of terms that follow each other [s]."""
    return sum(t.seconds for t in terms)


def overlapped(times: Sequence[Number], exponent: float = OVERLAP) -> Number:
    """Seconds of streams that run side by side [s]."""
    peak = largest(*times) if len(times) > 1 else times[0]
    # Scaled by the longest, so that powers of small and large times stay in range.
    return peak * sum((t / (peak + TINY)) ** exponent for t in times) ** (1 / exponent)


TINY = 1e-30


def speed(
    seconds: Number, tokens: Number, terms: Sequence[SpeedTerm], residual: Efficiency, coefficients: Coefficients,
    notes: tuple[str, ...] = (), further_sd: Number = 0.0,
) -> Speed:  # fmt: skip
    """The figures of a step whose nominal time is known.

    The spread of ln(time) is that of the terms, each weighed by its share of their sum, and of what no term explains.

    Args:
        seconds: of the step by the terms [s].
        tokens: that the step deals with, over all GPUs.
        residual: factor on the whole and its spread.
        coefficients: measured on one machine; ``throughput_efficiency`` multiplies the speed.
        further_sd: spread of ln(time) beside that of the residual; number or array.
    """
    learnt = coefficients.throughput_efficiency
    kept = [t for t in terms if not isinstance(t.work, (int, float)) or t.work > 0]
    whole = sum(t.seconds for t in kept)
    variance = residual.sd**2 + further_sd**2 + sum((t.seconds / whole * t.sd) ** 2 for t in kept)
    sd = variance**0.5
    if "throughput_efficiency" in coefficients.learnt and not hasattr(sd, "__array_namespace__"):
        sd = narrowed(sd, RESIDUAL, learnt.sd, math.log(learnt.value))
    time = seconds / (residual.value * learnt.value)
    return Speed(spread(time, sd), spread(tokens / time, sd), tokens, tuple(kept), sd, notes)
