"""Memory of generation with transformers and programs like it, as a timeline: load, prefill, decode.

Weights and buffers stay. While the prompt is read one layer after the other works on all its tokens; then each step
adds a token to the cache, and the last step has the longest one.
"""

from __future__ import annotations

import math
from typing import Any

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Estimate, Peak, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory.decode import step_moments
from vram_advisor.memory.inference_parts import cache_components, resident_components, working_components
from vram_advisor.memory.kv_cache import Cached, cached
from vram_advisor.memory.loaded import ALL, Loaded, load
from vram_advisor.memory.numbers import interval, ordered
from vram_advisor.memory.overhead import context_bytes, workspace_bytes
from vram_advisor.memory.prompt import logits, prompt_bytes, share, worst
from vram_advisor.memory.session import Session, on_device, open_session
from vram_advisor.units.grid import largest, smallest

SLACK_CACHE, SLACK_LAYER, SLACK_CONSTANT = 0.4, 0.1, 16 * 2**20
"""Reserved beyond allocated memory: shares of the cache and of the working set, and a constant [B]."""
SLACK_SD = 0.5
"""Its relative spread. Prompts and steps of eleven traced runs replayed by the rules of the caching allocator
(c10/cuda/CUDACachingAllocator.cpp) hold 14 MiB to 1.1 GiB."""
UNAVOIDABLE = 0.3
"""Share of it that stays when the allocator has given back what it can."""
COUNTED_SD = 0.003
"""Spread of the counted bytes: 174 published peaks of generation lie 0 to 0.7 % above them."""


def estimate_generation(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None, coefficients: Coefficients
) -> Estimate:
    """Memory of generation on one GPU.

    Raises:
        BadInput, NotModelled: a choice is unknown, contradicts another, or has no evidence.
    """
    session = on_device(open_session(model, workload, plan, recipe), device)
    loaded = load(session, workspace_bytes(device, coefficients, 1))
    b, context = workload.num_sequences, length(session, workload.context_length)
    prompt = smallest(length(session, workload.prompt_length or context), context)
    nbytes, part = worst(session, b, prompt, cells(session, prompt, context))
    steps = step_parts(session, b, context)
    step = max(steps, key=lambda c: int(c.nbytes(b, context)))
    kept = int(share(session, sum(c.nbytes(b, context) for c in cached(session.model, session.form))))
    before = kept if session.serving.cache == "rebuilt" else 0
    totals = (
        loaded.by_phase[0],
        loaded.by_phase[1] + nbytes,
        loaded.by_phase[2] + kept + before + int(step.nbytes(b, context)),
    )
    phases = tuple(PhasePeak(phase, size) for phase, size in zip(ALL, totals, strict=True))
    top = max(phases, key=lambda p: p.allocated_bytes)
    components = resident_components(loaded, b, context)
    components += cache_components(session, part, b, cells(session, prompt, context), context, before)
    components += working_components(session, part, step, b, prompt, context)
    working = nbytes - int(share(session, sum(c.nbytes(b, cells(session, prompt, context)) for c in part.cache)))
    peak, mean, sd = numbers(session, loaded, top, kept, working, device, coefficients)
    return Estimate(peak, phases, tuple(components), 0, None, mean, sd, notes(session, workload, context))


def phase_bytes(session: Session, loaded: Loaded, sequences: Any, prompt: Any, context: Any) -> dict[str, Any]:
    """Allocated bytes of every phase for numbers or arrays of sequences, prompts and contexts [B]."""
    prompt, context = length(session, prompt), length(session, context)
    prompt = smallest(prompt, context)
    kept = share(session, sum(c.nbytes(sequences, context) for c in cached(session.model, session.form)))
    step = largest(*(c.nbytes(sequences, context) for c in step_parts(session, sequences, context)))
    twice = 2 if session.serving.cache == "rebuilt" else 1
    return {
        "load": loaded.by_phase[0],
        "prefill": loaded.by_phase[1] + prompt_bytes(session, sequences, prompt, cells(session, prompt, context)),
        "decode": loaded.by_phase[2] + twice * kept + step,
    }


def length(session: Session, tokens: Any) -> Any:
    """Tokens of a sequence that runs: a model of learned positions has no more than it learned."""
    rows = session.model.position_rows
    return smallest(tokens, rows) if rows else tokens


def cells(session: Session, prompt: Any, context: Any) -> Any:
    """Cells of the cache while the prompt is read."""
    return prompt if session.grows else context


def step_parts(session: Session, sequences: Any, context: Any) -> tuple[Cached, ...]:
    """What a step of generation needs beside the cache: the worst of these."""
    end = Cached("logits", "logits of the next token", logits(session, "last"), 1, "transformers generation/utils.py")
    return (end, *step_moments(session.model, session.form, session.numerics, session.grows))


def numbers(
    session: Session, loaded: Loaded, top: PhasePeak, cache: int, working: int, device: Device | None, k: Coefficients
) -> tuple[Peak, float, float]:
    """The four numbers, and mean and standard deviation of the minimum to run [B]."""
    allocated = float(top.allocated_bytes)
    context, context_sd = context_bytes(device, k)
    uneven = 0.5 * loaded.largest_layer if session.plan.num_gpus > 1 else 0.0
    counted_sd = math.hypot(allocated * COUNTED_SD, working * activation_sd(session), uneven)
    slack = SLACK_CACHE * cache + SLACK_LAYER * working + SLACK_CONSTANT
    if session.plan.expandable_segments:
        slack = allocated * k.slack_expandable.value
    if session.grows is False:
        slack = min(slack, SLACK_LAYER * working + SLACK_CONSTANT)
    reserved, spread = allocated + slack, math.hypot(counted_sd, SLACK_SD * slack)
    minimum = allocated + UNAVOIDABLE * slack + context
    minimum_sd = math.hypot(counted_sd, UNAVOIDABLE * slack, context_sd)
    peak = ordered(
        top.phase,
        interval(allocated, counted_sd),
        interval(reserved, spread),
        interval(reserved + context, math.hypot(spread, context_sd)),
        interval(minimum, minimum_sd),
    )
    return peak, minimum, minimum_sd


def activation_sd(session: Session) -> float:
    """Relative spread of the working set: traced layers 3 %, states by reference code or by kernels 40 %."""
    if any(block.state for block in session.model.blocks):
        return 0.4
    return 0.05 if any(block.experts for block in session.model.blocks) else 0.03


def notes(session: Session, workload: Workload, context: int) -> tuple[str, ...]:
    """What a person has to know about the choices that were made for them."""
    said: list[str] = []
    if any(b.state and b.state.kind != "short_conv" for b in session.model.blocks):
        said.append(
            "Layers with a state are counted as transformers runs them without mamba_ssm, causal_conv1d and flash-linear-attention; with these the prompt needs less."
        )
    if context < workload.context_length:
        said.append(
            f"{session.model.id} has learned {context:,} positions: counted with a context of {context:,} tokens."
        )
    if session.storage.name == "mxfp4":
        said.append(
            "MXFP4 experts need their kernels; without them transformers turns the experts into bf16, 3.8 times as large."
        )
    if session.plan.num_gpus > 1:
        said.append(
            f'device_map="auto" splits by layers: one of {session.plan.num_gpus} GPUs may hold up to a layer more than its share.'
        )
    return tuple(said)
