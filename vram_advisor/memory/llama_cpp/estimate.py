"""Memory of a model under llama.cpp and the programs that run it, as an estimate like every other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Component, Estimate, Peak, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import gguf_serving
from vram_advisor.memory.llama_cpp.beside import Beside, Company, beside, beside_components, beside_notes, company_of
from vram_advisor.memory.llama_cpp.memory import Buffers, LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.ollama import environment
from vram_advisor.memory.llama_cpp.overhead import context_bytes, pool_bytes
from vram_advisor.memory.llama_cpp.parts import (
    ALL,
    OTHER_BUILDS,
    adapter_components,
    cache_components,
    compute_component,
    weights_component,
)
from vram_advisor.memory.llama_cpp.start import file_tensors, file_type, start_of, weights_of
from vram_advisor.memory.numbers import interval
from vram_advisor.units.bytes import gib
from vram_advisor.units.errors import NotModelled


def memory_of(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None
) -> LlamaCppMemory:
    """All buffers of a start.

    Raises:
        BadInput, NotModelled: a choice that llama.cpp does not have, or that has no evidence.
    """
    return started(model, workload, plan, recipe, device).memory


@dataclass(frozen=True, eq=False, repr=False)
class Started:
    """All buffers of a start, and what is in the fullest place."""

    memory: LlamaCppMemory
    beside: Beside
    fullest: Buffers

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """What lies there."""
        return tuple(components(self.memory, self.beside, self.fullest.place))

    @property
    def own(self) -> int:
        """What llama.cpp counts as its own in the fullest place [B]."""
        return self.fullest.total + self.beside.nbytes(self.fullest.place)


def started(model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None) -> Started:
    """All buffers of a start. Raises as ``memory_of``."""
    return _started(*start_key(model, workload, plan, recipe, device))


def start_key(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None
) -> tuple[ModelSpec, str, LlamaCppOptions, Company | None]:
    """What decides a start: model, file type, options, and what is beside the model. Raises as ``memory_of``."""
    if not model.causal:
        raise NotModelled(f"Encoders such as {model.id} are not modelled under llama.cpp.")
    row = gguf_serving(recipe.name, plan.runtime)
    kind = "" if model.stored_tensors else file_type(plan)
    options = start_of(model, workload, plan, row, weights_of(model, plan), device)
    return model, kind, options, company_of(plan) if model.draft or model.projector else None


@lru_cache(maxsize=16)
def _started(model: ModelSpec, kind: str, options: LlamaCppOptions, company: Company | None) -> Started:
    """The same by file type and options: cards that are compared mostly start alike."""
    memory = llama_cpp_memory(model, model.stored_tensors or file_tensors(model, kind), options)
    held = Beside() if company is None else beside(model, options, company)
    fullest = max(memory.gpus, key=lambda b: b.total + held.nbytes(b.place)) if memory.gpus else memory.host
    return Started(memory, held, fullest)


def estimate_llama_cpp(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None,
    coefficients: Coefficients,
) -> Estimate:
    """Memory of the fullest GPU.

    Allocated is what llama.cpp counts as its own (``self``: model, context and compute buffers); the process has the
    CUDA context and the pool of the kernels beside it. llama.cpp allocates what it will ever need at start, so the
    minimum is the same.

    Raises:
        BadInput, NotModelled: as ``memory_of``.
    """
    made = started(model, workload, plan, recipe, device)
    memory, fullest, own = made.memory, made.fullest, made.own
    spread = spread_of(made)
    outside, outside_sd = outside_of(model, device, memory.sizes.n_tokens, spread)
    process = own + outside
    peak = Peak(
        "prefill",
        interval(own, spread),
        interval(own, spread),
        interval(process, outside_sd),
        interval(process, outside_sd),
    )
    phases = tuple(PhasePeak(phase, own) for phase in ALL)
    return Estimate(
        peak=peak,
        phases=phases,
        components=made.components,
        host_bytes=memory.host.total + made.beside.nbytes(HOST),
        adapter=None,
        minimum_mean=process,
        minimum_sd=outside_sd,
        notes=(
            *notes(memory, made.beside),
            *beside_notes(model, made.beside, fullest.place),
            *settings(memory, model, plan, device),
            *tower(model),
        ),
    )


def need_of(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None
) -> tuple[float, float]:
    """The minimum to run as ``estimate_llama_cpp`` has it, mean and standard deviation [B], without what explains it.

    Raises:
        BadInput, NotModelled: as ``memory_of``.
    """
    own, spread, tokens = _own(*start_key(model, workload, plan, recipe, device))
    outside, sd = outside_of(model, device, tokens, spread)
    return own + outside, sd


@lru_cache(maxsize=512)
def _own(model: ModelSpec, kind: str, options: LlamaCppOptions, company: Company | None) -> tuple[int, float, int]:
    """What llama.cpp counts as its own, its standard deviation [B], and tokens of a batch: three numbers of a start, of
    which many more are kept than of starts."""
    made = _started(model, kind, options, company)
    return made.own, spread_of(made), made.memory.sizes.n_tokens


def spread_of(made: Started) -> float:
    """Standard deviation of what llama.cpp counts as its own [B]."""
    return math.hypot(OTHER_BUILDS * made.fullest.compute, made.beside.sd(made.fullest.place))


def outside_of(model: ModelSpec, device: Device | None, tokens: int, spread: float) -> tuple[float, float]:
    """What the process holds beside that: mean, and standard deviation of the whole [B].

    Args:
        tokens: of a batch.
        spread: standard deviation of what llama.cpp counts as its own [B].
    """
    context, context_sd = context_bytes(device)
    pool, pool_sd = pool_bytes(model, tokens)
    return context + pool, math.hypot(context_sd, pool_sd, spread)


def components(memory: LlamaCppMemory, held: Beside, place: int) -> list[Component]:
    """What lies in one place."""
    found = [weights_component(memory, place), *adapter_components(memory, place), *cache_components(memory, place)]
    return [*found, compute_component(memory, place), *beside_components(held, place)]


def settings(memory: LlamaCppMemory, model: ModelSpec, plan: Plan, device: Device | None) -> list[str]:
    """What Ollama's server has to be told."""
    if plan.runtime != "ollama" or not (found := environment(memory.options, model, device)):
        return []
    said = " ".join(f"{name}={value}" for name, value in found.items())
    return [f"Ollama's server takes these settings from its own environment: {said}."]


def tower(model: ModelSpec) -> list[str]:
    """What is left out of a model that sees or hears."""
    if not model.tower_parameters or model.projector is not None:
        return []
    weights = gib(2 * model.tower_parameters)
    return [f"Counted without --mmproj, which reads images: {weights} in F16, and a buffer for the largest image."]


def notes(memory: LlamaCppMemory, held: Beside) -> list[str]:
    """What a person should know about the start."""
    options, host = memory.options, memory.host
    said = []
    if options.n_parallel > 1:
        how = "share one cache" if options.kv_unified else "have a cache each"
        cells = memory.sizes.n_ctx if options.kv_unified else memory.sizes.n_ctx // options.n_parallel
        said.append(f"{options.n_parallel} slots {how} of {cells:,} tokens; --n-parallel 1 is the least.")
    if memory.offloaded_bytes:
        said.append(
            f"{gib(memory.offloaded_bytes)} of weights and {gib(host.cache)} of cache stay in system memory, "
            f"which needs {gib(host.total)} in all; a token waits for them on the processor."
        )
    if options.num_gpus > 1:
        each = ", ".join(gib(b.total + held.nbytes(b.place)) for b in memory.gpus)
        said.append(f"The GPUs hold {each}; the figures are those of the fullest.")
    if not memory.flash and HOST not in memory.layout.layers:
        said.append("Without flash attention scores of the whole context are written out for every batch.")
    return said
