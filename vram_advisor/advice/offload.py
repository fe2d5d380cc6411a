"""When a model does not fit: how much of it to leave in system memory, beside what ``--fit`` of llama.cpp decides.

Ours fills the card up to where out-of-memory would begin, with the CUDA context and the pool of the kernels counted, at a
probability of 95 %. ``--fit`` counts neither and leaves 1 GiB free for them instead. Experts go first: a token needs few
of them, so they cost the least speed per byte; whole layers only where that is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from vram_advisor.advice.verdict import FITS, probability_of_fit
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.offload import LongestContext, Offload, Placement
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import gguf_serving
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.beside import Beside, Company, beside, company_of
from vram_advisor.memory.llama_cpp.fit import LEAST_CONTEXT, MARGIN, Fitter
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.overhead import context_bytes, pool_bytes
from vram_advisor.memory.llama_cpp.parts import OTHER_BUILDS
from vram_advisor.memory.llama_cpp.start import start_of, weights_of
from vram_advisor.memory.llama_cpp.traffic import traffic_of
from vram_advisor.units.bytes import MIB, gib
from vram_advisor.units.errors import AdvisorError

CACHE_TYPES = ("f16", "q8_0", "q4_0")
"""Types of the cache that a longest context is given for."""
HOST_SPARE = 0.9
"""Share of the system memory that is there for a model."""


class Desk:
    """One question: a model, a start, a card."""

    def __init__(
        self,
        model: ModelSpec,
        tensors: Sequence[StoredTensor],
        options: LlamaCppOptions,
        device: Device,
        ram_bytes: int | None = None,
        company: Company | None = None,
    ) -> None:
        self.model = model
        self.tensors = tensors
        self.options = options
        self.device = device
        self.ram_bytes = ram_bytes
        self.company = company

    def memory(self, options: LlamaCppOptions) -> LlamaCppMemory:
        """All buffers of a start."""
        return llama_cpp_memory(self.model, self.tensors, options)

    def held(self, memory: LlamaCppMemory) -> Beside:
        """What a start holds beside the model."""
        return Beside() if self.company is None else beside(self.model, memory.options, self.company)

    def need(self, memory: LlamaCppMemory) -> tuple[float, float]:
        """What the fullest GPU needs, with what is outside of the buffers: mean and standard deviation [B]."""
        held = self.held(memory)
        fullest = max(memory.gpus, key=lambda b: b.total + held.nbytes(b.place))
        context, context_sd = context_bytes(self.device)
        pool, pool_sd = pool_bytes(self.model, memory.sizes.n_tokens)
        sd = math.hypot(context_sd, pool_sd, OTHER_BUILDS * fullest.compute, held.sd(fullest.place))
        return fullest.total + held.nbytes(fullest.place) + context + pool, sd

    def probability(self, memory: LlamaCppMemory) -> float:
        """That a start fits the card."""
        mean, sd = self.need(memory)
        return probability_of_fit(mean, sd, self.device.free_bytes, self.device.free_sd_bytes)

    def fits(self, options: LlamaCppOptions) -> bool:
        """Whether a start fits."""
        return self.probability(self.memory(options)) >= FITS

    def placement(self, by: str, options: LlamaCppOptions) -> Placement:
        """A start and what it costs."""
        memory = self.memory(options)
        host = memory.host.total + self.held(memory).nbytes(HOST)
        holds = None if self.ram_bytes is None else host <= HOST_SPARE * self.ram_bytes
        return Placement(
            by=by,  # type: ignore[arg-type]
            options=options,
            gpu_bytes=int(self.need(memory)[0]),
            host_bytes=host,
            offloaded_bytes=memory.offloaded_bytes,
            traffic=traffic_of(self.model, memory),
            probability=self.probability(memory),
            fits_host=holds,
        )

    def ours(self) -> Placement | None:
        """The most that fits: all, else all but experts of the first layers, else the last layers."""
        options, layers = self.options, self.model.num_hidden_layers
        if self.fits(options):
            return self.placement("whole", options)
        if any(block.experts for block in self.model.blocks):
            n = least(lambda n: self.fits(replace(options, n_cpu_moe=n)), layers)
            if n is not None:
                return self.placement("experts", replace(options, n_cpu_moe=n))
            options = replace(options, cpu_moe=True)
        away = least(lambda n: self.fits(replace(options, n_gpu_layers=layers + 1 - n)), layers + 1)
        return None if away is None else self.placement("layers", replace(options, n_gpu_layers=layers + 1 - away))

    def longest(self, cache_type: str) -> LongestContext:
        """The longest context with the whole model on the GPUs."""
        most = self.model.max_position_embeddings or 1 << 20
        step = 256

        def able(units: int) -> bool:
            n_ctx = units * step
            types = {"cache_type_k": cache_type, "cache_type_v": cache_type}
            return self.fits(replace(self.options, n_ctx=n_ctx, **types))  # type: ignore[arg-type]

        low, high = 0, max(1, most // step) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if able(middle) else (low, middle)
        return LongestContext(cache_type, low * step)


def least(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 1 to ``most`` that holds, where more of it helps; None: not even ``most`` does."""
    if not holds(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def desk_of(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device, ram_bytes: int | None
) -> Desk:
    """The question behind a check.

    Raises:
        BadInput, NotModelled: as an estimate.
    """
    tensors = weights_of(model, plan)
    row = gguf_serving(recipe.name, plan.runtime)
    company = company_of(plan) if model.draft or model.projector else None
    return Desk(model, tensors, start_of(model, workload, plan, row, tensors, device), device, ram_bytes, company)


def offload(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device, ram_bytes: int | None = None
) -> Offload:
    """How much of a model to leave in system memory.

    Args:
        ram_bytes: memory of the computer [B]; None: not known.

    Raises:
        BadInput, NotModelled: as an estimate.
    """
    desk = desk_of(model, workload, plan, recipe, device, ram_bytes)
    free = [device.free_bytes] * max(1, desk.options.num_gpus)
    decided = Fitter(model, desk.tensors, desk.options, free, context_given=True, company=desk.company).run()
    fit = desk.placement("fit", decided.options)
    contexts = []
    for cache_type in CACHE_TYPES:
        try:
            contexts.append(desk.longest(cache_type))
        except AdvisorError:
            continue
    ours = desk.ours()
    return Offload(ours, fit, decided.fits, tuple(contexts), difference(desk, ours, fit))


def difference(desk: Desk, ours: Placement | None, fit: Placement) -> str:
    """Why the two decisions are not the same."""
    context, _ = context_bytes(desk.device)
    pool, _ = pool_bytes(desk.model, fit.options.n_ubatch)
    counted = int(context + pool)
    said = (
        f"--fit leaves {MARGIN // MIB} MiB free for what it does not count; {counted // MIB} MiB of CUDA context and "
        "kernel pool are counted here instead"
    )
    if ours is not None and ours.by == "experts" and fit.options.override_tensor:
        return f"{said}; it also may split one layer, which is not worth an option of its own."
    return f"{said}."


def sentences(found: Offload) -> list[str]:
    """The advice in words."""
    said = []
    ours = found.ours
    if ours is None:
        said.append("Not even the cache and the compute buffer fit the card.")
    elif ours.by != "whole":
        said.append(f"{option_words(ours.options)} fits: {placed_words(ours)}")
    fit = found.fit
    if fit.options.n_gpu_layers != -1 or fit.options.override_tensor:
        failed = "" if found.fit_meets_its_margin else ", without reaching its margin"
        said.append(
            f"--fit of llama.cpp itself would choose {option_words(fit.options)}{failed}: {found.why_they_differ}"
        )
    longest = ", ".join(f"{c.tokens:,} with a cache in {c.cache_type}" for c in found.contexts if c.tokens)
    if longest:
        said.append(f"Longest context with the whole model on the card: {longest}.")
    elif found.contexts:
        said.append(f"The whole model does not fit at any context, not even at {LEAST_CONTEXT:,} tokens.")
    return said


def option_words(options: LlamaCppOptions) -> str:
    """The options of a placement as a person types them."""
    words = []
    if options.n_gpu_layers != -1:
        words.append(f"--n-gpu-layers {options.n_gpu_layers}")
    if options.cpu_moe:
        words.append("--cpu-moe")
    if options.n_cpu_moe:
        words.append(f"--n-cpu-moe {options.n_cpu_moe}")
    if options.override_tensor:
        words.append(f"{len(options.override_tensor)} -ot rules")
    return " with ".join(words) or "every layer on the card"


def placed_words(p: Placement) -> str:
    """What a placement means."""
    said = (
        f"{gib(p.gpu_bytes)} on the card, {gib(p.host_bytes)} in system memory ({gib(p.offloaded_bytes)} of weights); "
        f"{p.traffic.token_bytes / 1024:,.0f} KiB cross PCIe per token and {gib(p.traffic.batch_bytes)} per batch of a prompt"
    )
    if p.fits_host is False:
        return f"{said}. The computer does not have that much memory."
    return f"{said}."
