"""The few numbers that have to be measured, each with spread, unit and source.

Counted bytes never come from here. Calibration returns another record of the same type.
"""

from dataclasses import dataclass
from math import hypot

from vram_advisor.units.bytes import MIB

_SLACK = "fitted on single- and multi-GPU fine-tunes, one source left out in turn: docs/method.md, allocator"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Coefficient:
    """A measured number."""

    value: float
    sd: float
    unit: str
    reference: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Coefficients:
    """All measured numbers of the memory model."""

    context_base: Coefficient = Coefficient(
        15.0, 55.0, "MiB", "15 processes, T4 to RTX 5090: out-of-memory messages and NVML"
    )
    context_per_sm: Coefficient = Coefficient(3.57, 0.0, "MiB per multiprocessor", "same fit")
    cublas_workspace: Coefficient = Coefficient(
        8_519_680,
        12 * MIB,
        "B per thread",
        "torch ATen/cuda/CublasHandlePool.cpp :4096:2:16:8; spread: versions differ",
    )
    cublas_workspace_hopper: Coefficient = Coefficient(
        33_554_432, 12 * MIB, "B per thread", "same, compute capability 9.0"
    )
    activation_scale: Coefficient = Coefficient(
        1.0, 0.06, "factor on what grows with the tokens of a step", "recipes that were read in source: 3 to 8 %"
    )
    slack_scale: Coefficient = Coefficient(
        1.0,
        0.35,
        "factor on the slack that grows with a step",
        "with slack_constant 3 to 11 % of reserved memory by source; errors of published runs: 2 to 17 %",
    )
    throughput_efficiency: Coefficient = Coefficient(
        1.0,
        0.3,
        "factor on the nominal speed",
        "prior: how far machines differ is not known; of four measured steps, from three sources, none outside the interval",
    )
    simulation_scale: Coefficient = Coefficient(
        1.0,
        0.07,
        "factor on what a simulated caching allocator takes for a traced step",
        "1: the rules of PyTorch's allocator, not compared with a card yet; spread: that of reserved_sd",
    )
    slack_loss: Coefficient = Coefficient(0.26, 0.0, "B per byte of logits and loss", _SLACK)
    slack_fused_loss: Coefficient = Coefficient(0.73, 0.0, "B per byte of a loss written over shifted logits", _SLACK)
    slack_layer: Coefficient = Coefficient(0.54, 0.0, "B per byte of the working set of a layer", _SLACK)
    slack_step: Coefficient = Coefficient(
        1.1, 0.0, "B per byte of the passes where the peak is the optimizer step", _SLACK
    )
    slack_gathered: Coefficient = Coefficient(1.4, 0.0, "B per byte of layers that FSDP1 gathers", _SLACK)
    slack_varied: Coefficient = Coefficient(
        2.35, 0.0, "B per byte of logits and loss where lengths vary", f"{_SLACK}; one source only"
    )
    slack_constant: Coefficient = Coefficient(0.39, 0.25, "GiB", f"{_SLACK}; spread: as of slack_scale")
    slack_expandable: Coefficient = Coefficient(
        0.035, 0.02, "B per allocated byte with expandable segments", "published runs near the limit of a card"
    )
    reserved_sd: Coefficient = Coefficient(0.07, 0.0, "sd of ln(reserved)", _SLACK)
    reserved_sd_varied: Coefficient = Coefficient(0.16, 0.0, "sd of ln(reserved) where lengths vary", _SLACK)
    minimum_sd: Coefficient = Coefficient(
        0.03, 0.0, "relative sd of the minimum to run", "published boundaries of out-of-memory"
    )
    learnt: frozenset[str] = frozenset()
    """Names of the coefficients that measurements corrected; the spread of all others is that of the evidence."""
    source: str = "nominal"


NOMINAL = Coefficients()


def narrowed(nominal: float, residual: float, sd: float, correction: float) -> float:
    """Spread of a figure whose coefficient was measured; all four in the unit of the figure.

    What a coefficient cannot learn stays. The spread is no wider than the nominal one, unless the correction itself
    says that the nominal figure is not to be trusted.

    Args:
        nominal: standard deviation without a measurement.
        residual: what stays of it however often is measured.
        sd: standard deviation of the learnt coefficient.
        correction: by how much the measurement moved the figure.
    """
    return min(hypot(residual, sd), hypot(nominal, correction))
