"""The few numbers that have to be measured, each with spread, unit and source.

Counted bytes never come from here. Calibration returns another record of the same type.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A measured number."""

    value: float
    sd: float
    unit: str
    reference: str


@dataclass(frozen=True, slots=True)
class Coefficients:
    """All measured numbers of the memory model."""

    context_base: Coefficient = Coefficient(15.0, 55.0, "MiB", "15 processes, T4 to RTX 5090: out-of-memory messages and NVML")
    context_per_sm: Coefficient = Coefficient(3.57, 0.0, "MiB per multiprocessor", "same fit")
    cublas_workspace: Coefficient = Coefficient(8_519_680, 0.0, "B per thread", "torch ATen/cuda/CublasHandlePool.cpp :4096:2:16:8")
    cublas_workspace_hopper: Coefficient = Coefficient(33_554_432, 0.0, "B per thread", "same, compute capability 9.0")
    slack_layer: Coefficient = Coefficient(0.10, 0.045, "ln(reserved / allocated)", "single-GPU fine-tunes, SDPA")
    source: str = "nominal"


NOMINAL = Coefficients()
