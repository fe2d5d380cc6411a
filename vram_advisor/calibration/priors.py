"""What is believed about a coefficient before anything is measured, on each kind of device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log

from vram_advisor.domain.calibration import BOUNDS
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.trial import Backend, Environment

FACTORS = frozenset(("activation_scale", "slack_scale", "simulation_scale", "throughput_efficiency"))
"""Fitted as logarithms: half and double are equally far from one."""
GPUS: tuple[Backend, ...] = ("cuda", "rocm")
"""Backends with PyTorch's caching allocator, a context and workspaces of a library of matrix products."""
SIMULATED: tuple[Backend, ...] = ("cpu", "fake")
"""Backends whose reserved memory is that of a simulated caching allocator (``caching_allocator``)."""
SIMULATED_CONSTANT, SIMULATED_SCALE = (0.05, 0.04), (0.8, 0.8)
"""Slack of the simulated allocator: the constant [GiB] and the factor on what grows with a step, each with its standard
deviation. A process of a card holds more that does not grow: what libraries and the loading of a model leave cached.
The shares were fitted on cards, so the factor may be anything near one."""


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal belief about one coefficient, in the coordinate in which it is fitted."""

    name: str
    mean: float
    sd: float
    low: float
    high: float

    def value(self, coordinate: float) -> float:
        """The coefficient at a coordinate."""
        return exp(coordinate) if self.name in FACTORS else coordinate

    def value_sd(self, coordinate: float, sd: float) -> float:
        """Spread of the coefficient for a spread of the coordinate."""
        return sd * exp(coordinate) if self.name in FACTORS else sd


def prior(name: str, coefficients: Coefficients) -> Prior:
    """The belief about one coefficient."""
    found, (low, high) = getattr(coefficients, name), BOUNDS[name]
    if name in FACTORS:
        return Prior(name, log(found.value), found.sd / found.value, log(low), log(high))
    return Prior(name, found.value, found.sd, low, high)


def backend_coefficients(backend: Backend, coefficients: Coefficients = NOMINAL) -> Coefficients:
    """Coefficients of a backend that is not CUDA.

    Processors and tensors without memory have neither context nor workspaces, and what an allocator would reserve is
    simulated; of Apple's and Intel's nothing is known, and nothing of the kind is learnt. ROCm counts as CUDA until it is
    measured, with twice the spread.
    """
    if backend == "cuda":
        return coefficients
    k = coefficients
    if backend == "rocm":
        return replace(
            k,
            context_base=replace(k.context_base, sd=2 * k.context_base.sd),
            cublas_workspace=replace(k.cublas_workspace, sd=2 * k.cublas_workspace.sd),
        )
    if backend in SIMULATED:
        (constant, constant_sd), (scale, scale_sd) = SIMULATED_CONSTANT, SIMULATED_SCALE
        k = replace(
            k,
            slack_constant=replace(k.slack_constant, value=constant, sd=constant_sd),
            slack_scale=replace(k.slack_scale, value=scale, sd=scale_sd),
        )
    none = replace(k.cublas_workspace, value=0.0, sd=0.0)
    return replace(
        k,
        cublas_workspace=none,
        cublas_workspace_hopper=none,
        context_base=replace(k.context_base, value=0.0, sd=0.0),
        context_per_sm=replace(k.context_per_sm, value=0.0),
    )


def priors(environment: Environment, coefficients: Coefficients) -> tuple[Prior, ...]:
    """What can be learnt on a device, in a fixed order; ``coefficients`` are those of its backend."""
    names = ["activation_scale"]
    if environment.backend in GPUS:
        hopper = (environment.compute_capability or "").startswith("9.") and environment.backend == "cuda"
        names.append("cublas_workspace_hopper" if hopper else "cublas_workspace")
    if environment.backend in GPUS + SIMULATED:
        names += ["slack_scale", "slack_constant", "simulation_scale"]
    if environment.backend in GPUS:
        names.append("context_base")
    if environment.backend != "fake":
        # Tensors without memory take no time.
        names.append("throughput_efficiency")
    return tuple(prior(name, coefficients) for name in names)
