"""Time for one token of the work on a card, so that plans can be compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES, gguf_serving
from vram_advisor.domain.throughput import Speed
from vram_advisor.throughput.decode import decode_speed
from vram_advisor.throughput.stored import Stored, stored, stored_gguf
from vram_advisor.throughput.training import training_speed

CoefficientsOf = Callable[[Workload, Plan], Coefficients]
"""Coefficients for a plan: what was measured corrects one plan and not another."""
SAME = 1.0
"""Where nothing is known of the speed of a card every plan is as fast as any other."""


class Pace:
    """Times on one card; a plan that is asked for twice is computed once."""

    def __init__(self, device: Device, coefficients: Coefficients | CoefficientsOf) -> None:
        self.device = device
        self.learnt = coefficients_of(coefficients)
        self.kept: dict[tuple[str, Workload, Plan], Speed | None] = {}

    def seconds(self, model: ModelSpec, workload: Workload, plan: Plan) -> float:
        """Time for one token [s]."""
        found = self.speed(model, workload, plan)
        return 1 / float(found.tokens_per_second.mid) if found is not None else SAME

    def speed(self, model: ModelSpec, workload: Workload, plan: Plan) -> Speed | None:
        """The speed of a plan; None where the catalogue lacks the rates of the card."""
        key = (model.id, workload, plan)
        if key not in self.kept:
            self.kept[key] = self._speed(model, workload, plan)
        return self.kept[key]

    def _speed(self, model: ModelSpec, workload: Workload, plan: Plan) -> Speed | None:
        coefficients = self.learnt(workload, plan)
        gpu = self.device.spec
        if gpu is None:
            return None
        if workload.trains:
            habits = recipe(plan.recipe)
            return training_speed(model, workload, plan, gpu, habits, coefficients=coefficients)
        fmt = quantization(plan.quantization)
        gguf = fmt.kernel == "gguf"
        weights = _weights(model, fmt.name) if gguf else stored(model, fmt)
        layers, experts, cache = _away(model, workload, plan, self.device)
        return decode_speed(
            model,
            gpu,
            weights,
            "vllm" if plan.runtime == "vllm" else "transformers" if plan.runtime == "transformers" else "llama.cpp",
            context=workload.context_length,
            sequences=workload.num_sequences,
            gpus=plan.num_gpus,
            coefficients=coefficients,
            host_bytes=layers,
            host_experts_bytes=experts,
            host_cache=cache,
        )


def _away(model: ModelSpec, workload: Workload, plan: Plan, device: Device) -> tuple[float, float, float]:
    """What a start of llama.cpp leaves in system memory: whole layers and experts [B], share of the cache.

    Raises:
        BadInput, NotModelled: as an estimate.
    """
    moved = (plan.n_gpu_layers is not None, plan.n_cpu_moe, plan.cpu_moe, plan.override_tensor, not plan.kv_offload)
    if plan.runtime not in GGUF_RUNTIMES or not any(moved):
        return 0.0, 0.0, 0.0
    # What lies where is known without the compute buffer, which takes most of the time of an estimate.
    from vram_advisor.memory.llama_cpp.node import HOST
    from vram_advisor.memory.llama_cpp.occupied import occupied
    from vram_advisor.memory.llama_cpp.start import file_type, start_of, weights_of

    options = start_of(model, workload, plan, gguf_serving(plan.recipe, plan.runtime), weights_of(model, plan), device)
    held = occupied(model, "" if model.stored_tensors else file_type(plan), options)
    everywhere = sum(held.caches.values())
    on_host = held.caches.get(HOST, 0)
    return float(held.host_layers), float(held.host_experts), on_host / everywhere if everywhere else 0.0


@lru_cache(maxsize=256)
def _weights(model: ModelSpec, file_type: str) -> Stored:
    """The weights of a GGUF file; the same for every card."""
    return stored_gguf(gguf_tensors(model, file_type))


def coefficients_of(coefficients: Coefficients | CoefficientsOf) -> CoefficientsOf:
    """Coefficients by plan, where they may be the same for all."""
    return (lambda workload, plan: coefficients) if isinstance(coefficients, Coefficients) else coefficients
