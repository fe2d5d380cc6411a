"""The price of what rests in the memory of the computer: weights, states, activations, and layers that run there."""

from __future__ import annotations

from vram_advisor.domain.efficiencies import Efficiencies
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.throughput import SpeedTerm
from vram_advisor.throughput.roofline import GIGA, HOST_GB_PER_S, pcie_rate, term
from vram_advisor.units.grid import Number

HOST_UPDATE = 28
"""Bytes that an update on the processor reads and writes per parameter: fp32 weight, gradient and two moments
(deepspeed ops/adam/cpu_adam.py)."""
FETCHES = 2
"""Weights are fetched in the forward and in the backward pass."""


def over_pcie(label: str, nbytes: Number, gpu: GpuSpec, efficiencies: Efficiencies) -> SpeedTerm:
    """Bytes that cross the bus to the host [B]."""
    return term(label, "pcie", nbytes, "B", pcie_rate(gpu), efficiencies.pcie)


def streamed_weights(weights: Number, gpus: int, gpu: GpuSpec, efficiencies: Efficiencies) -> SpeedTerm:
    """Weights that rest on the host and are fetched layer by layer, in one micro batch; each GPU fetches its share."""
    return over_pcie("weights from system memory", FETCHES * weights / gpus, gpu, efficiencies)


def offloaded_activations(nbytes: Number, gpu: GpuSpec, efficiencies: Efficiencies) -> SpeedTerm:
    """Layer inputs that go to the host and come back, in one micro batch."""
    return over_pcie("layer inputs to system memory and back", 2 * nbytes, gpu, efficiencies)


def host_update(
    parameters: Number, itemsize: int, gpu: GpuSpec, efficiencies: Efficiencies, host_gb_per_s: float | None
) -> tuple[SpeedTerm, SpeedTerm]:
    """An optimizer step on the processor: gradients go there, weights come back."""
    traffic = over_pcie("gradients to the host, weights back", 2 * itemsize * parameters, gpu, efficiencies)
    update = term(
        "update on the processor", "host", HOST_UPDATE * parameters, "B", (host_gb_per_s or HOST_GB_PER_S) * GIGA,
        efficiencies.host,
    )  # fmt: skip
    return traffic, update


def paged_out(states: float, resident: float, capacity: float) -> float:
    """States of a paged optimizer that do not fit beside what has to stay [B]; pages move when they are used.

    Source: bitsandbytes optim/optimizer.py (managed memory of CUDA).
    """
    return min(states, max(0.0, resident + states - capacity))


def host_layers(nbytes: Number, efficiencies: Efficiencies, host_gb_per_s: float | None) -> SpeedTerm:
    """Weights of layers that run on the processor (llama.cpp ``--n-gpu-layers``): read once per token [B]."""
    rate = (host_gb_per_s or HOST_GB_PER_S) * GIGA
    return term("layers on the processor", "host", nbytes, "B", rate, efficiencies.host)
