"""How fast tokens are generated.

One token reads every weight that it passes and the keys and values of its past once: memory bandwidth decides, and the
time between kernels where the model is small beside the card.
"""

from __future__ import annotations

from typing import Literal

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies, Efficiency, matrix_efficiency
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.throughput import Speed, SpeedTerm
from vram_advisor.throughput.offload import host_layers
from vram_advisor.throughput.roofline import bandwidth, launches, matrix_rate, overlapped, speed, term, total
from vram_advisor.throughput.stored import Stored
from vram_advisor.throughput.work import Work, cached_elements, work
from vram_advisor.units.grid import Number

Runtime = Literal["llama.cpp", "vllm", "transformers", "fused"]
"""fused: transformers whose layers are replaced by single modules (AutoAWQ)."""

EAGER = {"none": 1.0, "bnb_8bit": 1.5}
"""Launches of a layer in transformers, by the kernel of its linear layers."""
EAGER_QUANTISED = 1.35
EXPERTS_LAUNCHED = 2.0
"""Launches of a layer with a mixture of experts, in dense layers."""


def decode_speed(
    model: ModelSpec, gpu: GpuSpec, weights: Stored, runtime: Runtime, *,
    context: Number, sequences: Number = 1, gpus: int = 1, cache_itemsize: float = 2.0, host_bytes: float = 0.0,
    host_experts_bytes: float = 0.0, host_cache: float = 0.0, host_gb_per_s: float | None = None, efficiencies: Efficiencies = EFFICIENCIES, coefficients: Coefficients = NOMINAL,
) -> Speed | None:  # fmt: skip
    """Seconds of one token of every sequence, tokens per second over all sequences.

    Args:
        context: tokens in the cache of one sequence; number or array.
        sequences: that are generated together; number or array.
        gpus: that hold the model: whole layers each (llama.cpp, transformers) or a part of every layer (vllm).
        cache_itemsize: of a cached element [B].
        host_bytes: of weights in system memory that every token passes; the processor works on them [B].
        host_experts_bytes: of experts there, of which a token reads those that it is sent to [B].
        host_cache: share of the cache that lies there.
        host_gb_per_s: bandwidth of system memory; None: two channels of DDR5.

    Returns:
        None where the catalogue lacks the rates of the card.
    """
    rate, bytes_per_s = matrix_rate(gpu, "fp16"), bandwidth(gpu)
    if rate is None or bytes_per_s is None:
        return None
    counts = work(model)
    split = gpus if runtime == "vllm" else 1
    read = weights.read(model, sequences)
    away: Number = min(host_bytes, weights.dense)
    if host_experts_bytes:
        away = away + host_experts_bytes * (read - weights.dense) / weights.experts
    cached = cache_bytes(counts, context, cache_itemsize) * sequences
    reached = weights_efficiency(gpu, weights, runtime, efficiencies)
    reading = [
        term("weights", "bandwidth", (read - away) / split, "B", bytes_per_s, reached),
        term("keys and values", "bandwidth", cached * (1 - host_cache) / split, "B", bytes_per_s,
             efficiencies.decode_cache),
    ]  # fmt: skip
    flops = 2 * sequences * (counts.linear + counts.head) / split
    products = [term("products", "compute", flops, "FLOP", rate, matrix_efficiency(gpu, efficiencies))]
    starting = started(model, weights, runtime, gpus, efficiencies)
    on_processor = bool(host_bytes or host_experts_bytes or host_cache)
    on_host = [host_layers(away + cached * host_cache, efficiencies, host_gb_per_s)] if on_processor else []
    busy = overlapped([total(reading), total(products)])
    if runtime == "transformers":
        seconds = overlapped([busy, total(starting)])
    else:
        # Without Python in between, kernels follow each other at once: what is left is the gap between them.
        seconds = busy + total(starting)
    seconds = seconds + total(on_host)
    terms = [*reading, *products, *starting, *on_host]
    return speed(seconds, sequences, terms, efficiencies.decode, coefficients, notes(on_processor))


def cache_bytes(counts: Work, context: Number, itemsize: float) -> Number:
    """Keys, values and recurrent states that one sequence reads for a token; states are written too [B]."""
    return cached_elements(counts, context) * itemsize + 2 * 4 * counts.states


def weights_efficiency(gpu: GpuSpec, weights: Stored, runtime: Runtime, efficiencies: Efficiencies) -> Efficiency:
    """The share of the bandwidth at which weights are read."""
    if gpu.unified:
        base = efficiencies.decode_unified
    elif gpu.vendor != "NVIDIA":
        base = efficiencies.decode_other
    elif "HBM" in (gpu.memory_type or ""):
        base = efficiencies.decode_vllm if runtime == "vllm" else efficiencies.decode_hbm
    else:
        base = efficiencies.decode_gddr
    return product(base, efficiencies.decode_blocks) if weights.in_blocks else base


def product(a: Efficiency, b: Efficiency) -> Efficiency:
    """Both factors as one."""
    return Efficiency(a.value * b.value, (a.sd**2 + b.sd**2) ** 0.5, a.unit, f"{a.reference}; {b.reference}")


def started(
    model: ModelSpec, weights: Stored, runtime: Runtime, gpus: int, efficiencies: Efficiencies
) -> list[SpeedTerm]:
    """Kernels of one token, and the steps from one GPU to the next."""
    layers = float(model.num_hidden_layers)
    if weights.experts:
        layers *= EXPERTS_LAUNCHED
    if runtime == "transformers":
        layers *= EAGER.get(weights.kernel, EAGER_QUANTISED)
        found = [launches("starting kernels from Python", layers, efficiencies.decode_layer_eager)]
    else:
        found = [launches("gaps between kernels", layers, efficiencies.decode_layer)]
    if gpus > 1:
        steps = 2.0 * model.num_hidden_layers * REDUCTION if runtime == "vllm" else gpus - 1.0
        found.append(launches("from one GPU to the next", steps, efficiencies.decode_gpu))
    return found


REDUCTION = 0.1
"""A reduction over GPUs that share a layer, in steps from one GPU to the next: some 20 microseconds."""


def notes(on_processor: bool) -> tuple[str, ...]:
    """What a person has to know."""
    if on_processor:
        return ("Layers on the processor run at the speed of system memory, whose bandwidth is assumed.",)
    return ()
