"""A fine-tune with every choice made, and its counts: what the time of a step follows from."""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import ITEMSIZE, Quantization, quantization
from vram_advisor.domain.recipe import Recipe
from vram_advisor.throughput.step_bytes import stored_bytes
from vram_advisor.throughput.work import Adapted, Work, adapted, all_parameters, work

RECOMPUTED = {"none": 0.0, "selective": 0.5, "full": 1.0, "offload": 1.0}
"""Share of the forward pass that is computed again; selective: every other product (torchtitan
distributed/activation_checkpoint.py)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A fine-tune with every choice made, and its counts."""

    model: ModelSpec
    counts: Work
    gpu: GpuSpec
    recipe: Recipe
    storage: Quantization
    plan: Plan
    full: bool
    adapted: Adapted
    trained: int
    """Parameters that are trained [elements]."""
    itemsize: int
    """Of a trained parameter [B]."""
    forwards: float
    """Forward passes of a micro batch, those of checkpointing and of a reference model included."""
    answers: int
    """Sequences of a micro batch per sequence asked: two where pairs are compared."""
    compiled: bool


def set_up(
    model: ModelSpec, workload: Workload, plan: Plan, gpu: GpuSpec, recipe: Recipe, compiled: bool = False
) -> Run:
    """The run with every choice made."""
    full = workload.method == "full"
    storage = quantization(plan.quantization)
    found = Adapted(0, 0, 0) if full else adapted(model, plan.target_modules, plan.modules_to_save)
    again = RECOMPUTED[plan.gradient_checkpointing or recipe.gradient_checkpointing]
    reference = 1 if workload.objective in ("dpo", "kto") else 0
    if full:
        itemsize = ITEMSIZE[plan.weights_dtype or recipe.full_weights_dtype]
    else:
        dtype = recipe.quantised_adapter_dtype if storage.is_quantised else recipe.adapter_dtype
        itemsize = 4 if dtype == "fp32" else 2
    return Run(
        model=model,
        counts=work(model),
        gpu=gpu,
        recipe=recipe,
        storage=storage,
        plan=plan,
        full=full,
        adapted=found,
        trained=all_parameters(model) if full else plan.lora_r * found.width + found.saved,
        itemsize=itemsize,
        forwards=1 + again + reference,
        answers=2 if workload.objective in ("dpo", "orpo") else 1,
        compiled=compiled,
    )


def stored_dtype(run: Run) -> str:
    """Of the weights that are not quantised."""
    plan, recipe = run.plan, run.recipe
    return str(plan.weights_dtype or (recipe.full_weights_dtype if run.full else run.storage.kept_dtype))


def autocast(run: Run) -> bool:
    """Whether the forward pass runs under 16-bit autocast."""
    if run.plan.mixed_precision is not None:
        return run.plan.mixed_precision != "none"
    return run.recipe.quantised_autocast if run.storage.is_quantised else run.recipe.autocast


def compute_dtype(run: Run) -> str:
    """In which the products run."""
    plan, recipe = run.plan, run.recipe
    if plan.mixed_precision not in (None, "none"):
        return str(plan.mixed_precision)
    stored = stored_dtype(run)
    if stored == "fp32":
        casts = plan.mixed_precision is None and (recipe.autocast or recipe.gathered_dtype == "bf16")
        return "bf16" if casts else "fp32"
    return stored


def reaches_experts(run: Run) -> bool:
    """Whether experts are quantised too."""
    return run.recipe.linear_experts or run.storage.expert_stacks


def base_bytes(run: Run) -> float:
    """Weights of the base as they are gathered or fetched [B]."""
    counts = run.counts
    packed = counts.stored if not run.storage.is_quantised or reaches_experts(run) else counts.stored - counts.experts
    tied = 1 if run.model.tie_word_embeddings else 2
    return packed * stored_bytes(run.storage) + 2 * (counts.stored - packed + counts.head * tied)
