"""Memory of a training step as a timeline: components, phases, the worst phase, and four numbers for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from vram_advisor.domain.amount import evaluate
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Component, Estimate, Phase, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.kernels import FusedAttention, fused_attention
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory.correction import (
    correction,
    correction_components,
    growing,
    growing_amounts,
    measured_sd,
    parts_per_million,
)
from vram_advisor.memory.loss import loss_rows
from vram_advisor.memory.numbers import Numbers, four_numbers
from vram_advisor.memory.overhead import communication_bytes, workspace_bytes, workspace_sd
from vram_advisor.memory.resident import AFTER, ALL, STEP, Residents, residents
from vram_advisor.memory.scores import written_out
from vram_advisor.memory.setup import Setup, notes, set_up
from vram_advisor.memory.step import Candidate, Step, StepKey, compile_step
from vram_advisor.memory.training_parts import HUMPED, adapter, dynamic, humps, offloaded, static
from vram_advisor.units.grid import ceil_div, smallest

FUSED_ROWS = 512
"""bitsandbytes multiplies up to this many rows without a 16-bit copy of the weight (backends/cuda/ops.py)."""


def symbols(model: ModelSpec, loss: str, micro_batch_size: Any, sequence_length: Any) -> tuple[Any, ...]:
    """The values of ``amount.SYMBOLS`` for a batch and a length; numbers or arrays."""
    tokens = micro_batch_size * sequence_length
    padded, chunked = (micro_batch_size * (ceil_div(sequence_length, n) * n) for n in (128, 64))
    pairs = tokens * sequence_length
    rows = loss_rows(model, loss, tokens)
    mixture = next((block.experts for block in model.blocks if block.experts), None)
    share = ceil_div(tokens * mixture.num_experts_per_tok, mixture.num_experts) if mixture else 0
    return (1, sequence_length, tokens, padded, pairs, sequence_length * sequence_length, rows, share, chunked)


def positions(model: ModelSpec, sequence_length: Any) -> Any:
    """Tokens of a sequence that runs: a model of learned positions has no more than it learned."""
    return smallest(sequence_length, model.position_rows) if model.position_rows else sequence_length


def sequences(workload: Workload, micro_batch_size: Any) -> Any:
    """Sequences of one forward pass: preference objectives run chosen and rejected answers together."""
    return micro_batch_size * (2 if workload.objective in ("dpo", "orpo") else 1)


@lru_cache(maxsize=128)
def without_size(workload: Workload) -> Workload:
    """The workload with batch and length 1: choices and residents do not depend on them and are made once."""
    return replace(workload, micro_batch_size=1, sequence_length=1)


def window(model: ModelSpec) -> int | None:
    """The shortest window of the layers [tokens]."""
    sizes = [b.attention.sliding_window for b in model.blocks if b.attention and b.attention.sliding_window]
    return min(sizes, default=None)


def fused_on(device: Device | None, plan: Plan) -> FusedAttention:
    """What scaled_dot_product_attention has on a device for a plan with every choice made."""
    if device is None:
        return "flash"
    mixed = plan.mixed_precision
    dtype = mixed if mixed and mixed != "none" else plan.weights_dtype or "bf16"
    return fused_attention(device.compute_capability, device.system, dtype)


def variant(
    key: StepKey, dequantize: bool, one_sequence: bool, windowed: bool = False, fused: FusedAttention = "flash"
) -> StepKey:
    """The step for few or many rows, one or several sequences, where that changes what runs; ``windowed``: sequences
    are longer than the window; ``fused``: what the device has."""
    n, head = key.numerics, key.head
    if fused != "flash" and n.sdpa and n.attention == "flash":
        n = replace(n, fused_attention=fused)
    if windowed and n.sdpa:
        n = replace(n, windowed=True)
    if one_sequence and written_out(key.model, n):
        n = replace(n, one_sequence=True)
    if n.quantization == "bnb_4bit" and not dequantize:
        n = replace(n, dequantize=False)
    if head.logits_form != "v5" and not one_sequence:
        head = replace(head, one_sequence=False)
    return key if n is key.numerics and head is key.head else replace(key, numerics=n, head=head)


@lru_cache(maxsize=128)
def step_of(
    setup: Setup, dequantize: bool, one_sequence: bool, windowed: bool, fused: FusedAttention = "flash"
) -> Step:
    """The step of a run in one of its variants; found by the run itself, since its choices are many to compare."""
    return compile_step(variant(setup.key, dequantize, one_sequence, windowed, fused))


def worst(
    step: Step, phase: str, values: tuple[Any, ...], ppm: int = 0, shared_growing: int = 0
) -> tuple[int, Candidate]:
    """The largest moment of a phase [B].

    Args:
        step: the moments.
        phase: the phase.
        values: the workload.
        ppm: correction of what grows with the tokens, in millionths.
        shared_growing: what of ``step.shared`` does, to be corrected with it [B].
    """
    best, found = -1, None
    for candidate in step.candidates[phase]:
        nbytes = evaluate(candidate.total, values)
        if ppm:
            nbytes += correction(growing(candidate.total, values) + shared_growing, ppm)
        if nbytes > best:
            best, found = nbytes, candidate
    assert found is not None
    return best, found


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bytes:
    """What is allocated in every phase of a training step of one batch and length."""

    setup: Setup
    values: tuple[Any, ...]
    """Of ``amount.SYMBOLS``."""
    step: Step
    resident: Residents
    chosen: dict[str, Candidate]
    """The worst moment of each phase."""
    grown: dict[Phase, int]
    """What grows with the tokens [B]."""
    totals: dict[Phase, int]
    """Allocated in each phase [B]."""
    top: PhasePeak
    """The worst phase."""


def training_bytes(
    model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None, coefficients: Coefficients
) -> Bytes:
    """The worst moment of every phase. Raises as ``estimate_training``."""
    setup = set_up(model, without_size(workload), plan, recipe)
    b, s = sequences(workload, workload.micro_batch_size), positions(model, workload.sequence_length)
    size = window(model)
    step = step_of(setup, b * s > FUSED_ROWS, b == 1, size is not None and s > size, fused_on(device, setup.plan))
    values = symbols(model, setup.key.head.loss, b, s)
    resident = residents(setup, workspace_bytes(device, coefficients, 2))
    shared = sum(a.nbytes(values) for a in step.shared)
    totals = dict(resident.by_phase)
    ppm = parts_per_million(coefficients)
    shared_growing = growing_amounts(step.shared, values)
    grown: dict[Phase, int] = {}
    chosen: dict[str, Candidate] = {}
    for phase in (*STEP, "evaluation"):
        nbytes, chosen[phase] = worst(step, phase, values, ppm, shared_growing)
        grown[phase] = growing(chosen[phase].total, values) + shared_growing
        totals[phase] += nbytes + shared
    for phase in AFTER:
        if phase in step.candidates:
            nbytes, chosen[phase] = worst(step, phase, values, ppm)
            grown[phase] = growing(chosen[phase].total, values)
            totals[phase] += nbytes
    # The first of equal ones.
    peak = max(ALL, key=totals.__getitem__)
    return Bytes(setup, values, step, resident, chosen, grown, totals, PhasePeak(peak, totals[peak]))


def training_numbers(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Numbers:
    """The numbers of ``estimate_training`` and no list of what they are made of: a third of its time."""
    found = training_bytes(model, workload, plan, recipe, device, coefficients)
    humped = [*static(found.resident, found.values, HUMPED), *dynamic(found.chosen, found.values, HUMPED)]
    return numbers_of(found, humped, plan, device, coefficients)


def numbers_of(
    found: Bytes, components: list[Component], plan: Plan, device: Device | None, coefficients: Coefficients
) -> Numbers:
    """The four numbers of a step; of ``components`` those of the kinds ``HUMPED`` count."""
    top, resident = found.top, found.resident.by_phase
    return four_numbers(
        top,
        resident[top.phase],
        humps(found.setup, components, found.totals, resident, top.phase),
        measured_sd(
            found.setup.recipe.activation_sd,
            top.allocated_bytes,
            found.grown.get(top.phase, 0),
            workspace_sd(device, coefficients, 2),
            coefficients,
        ),
        device,
        coefficients,
        communication_bytes(plan),
    )


def estimate_training(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Estimate:
    """Memory of one training step on one GPU.

    Raises:
        BadInput, NotModelled: a choice is unknown, contradicts another, or has no evidence.
    """
    found = training_bytes(model, workload, plan, recipe, device, coefficients)
    setup, values, shared = found.setup, found.values, found.step.shared
    components = static(found.resident, values)
    components.append(
        Component(
            "inputs",
            "positions and token ids",
            sum(a.nbytes(values) for a in shared),
            shared,
            values,
            (*STEP, "evaluation"),
            "transformers modeling_llama.py",
        )
    )
    components += dynamic(found.chosen, values)
    components += correction_components(found.grown, parts_per_million(coefficients), values)
    numbers = numbers_of(found, components, plan, device, coefficients)
    return Estimate(
        peak=numbers.peak,
        phases=tuple(PhasePeak(phase, found.totals[phase]) for phase in ALL),
        components=tuple(components),
        host_bytes=found.resident.host_bytes + offloaded(setup, values),
        adapter=adapter(setup),
        minimum_mean=numbers.minimum_mean,
        minimum_sd=numbers.minimum_sd,
        notes=notes(setup) + cut(model, workload) + fallback(setup, device),
    )


def fallback(setup: Setup, device: Device | None) -> tuple[str, ...]:
    """Says that the card has no fused kernel for the attention of the model."""
    fused, n = fused_on(device, setup.plan), setup.key.numerics
    if device is None or fused == "flash" or not n.sdpa or n.attention != "flash":
        return ()
    if not written_out(setup.key.model, replace(n, fused_attention=fused)) or written_out(setup.key.model, n):
        return ()
    where = "on Windows" if device.system == "windows" else f"at compute capability {device.compute_capability}"
    instead = "use --mixed-precision fp16 --weights-dtype fp16" if fused == "math" else "padded sequences need less"
    return (
        f"PyTorch has no fused attention for this step {where}: scores of all pairs of tokens are written out in "
        f"fp32; {instead}.",
    )


def cut(model: ModelSpec, workload: Workload) -> tuple[str, ...]:
    """Says that sequences are longer than the model can take."""
    if positions(model, workload.sequence_length) == workload.sequence_length:
        return ()
    return (
        f"{model.id} has learned {model.position_rows:,} positions: "
        f"sequences of {workload.sequence_length:,} tokens are cut.",
    )
