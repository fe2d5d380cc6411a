"""Memory of inference: generation with transformers and programs like it, or serving with vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory.generate import estimate_generation, phase_bytes
from vram_advisor.memory.loaded import load
from vram_advisor.memory.overhead import workspace_bytes
from vram_advisor.memory.session import on_device, open_session
from vram_advisor.memory.vllm import estimate_vllm
from vram_advisor.units.errors import NotModelled
from vram_advisor.units.grid import Number, largest


def estimate_inference(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> Estimate:
    """Memory of inference on one GPU.

    Raises:
        BadInput, NotModelled: a choice is unknown, contradicts another, or has no evidence.
    """
    if plan.runtime == "vllm":
        return estimate_vllm(model, workload, plan, device, coefficients)
    return estimate_generation(model, workload, plan, recipe, device, coefficients)


@dataclass(frozen=True, slots=True)
class InferenceGrid:
    """Allocated bytes of every phase, and their largest, with the shape of the arrays given [B]."""

    phases: dict[str, Any]
    peak: Any


def inference_grid(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    recipe: Recipe,
    num_sequences: Number,
    context_length: Number,
    prompt_length: Number | None = None,
    device: Device | None = None,
    coefficients: Coefficients = NOMINAL,
) -> InferenceGrid:
    """Allocated memory for arrays of sequences and contexts that broadcast against each other.

    The three lengths of ``workload`` are not used; everything else is as in ``estimate_inference``. Without prompts of
    their own, contexts are read whole.

    Raises:
        BadInput, NotModelled: as ``estimate_inference``; a grid of vLLM, which takes its share of the card whatever is
            asked.
    """
    if plan.runtime == "vllm":
        raise NotModelled(
            "A grid of contexts under vLLM is not modelled: it takes its share of the card whatever is asked."
        )
    session = on_device(open_session(model, workload, plan, recipe), device)
    loaded = load(session, workspace_bytes(device, coefficients, 1))
    prompt = context_length if prompt_length is None else prompt_length
    phases = phase_bytes(session, loaded, num_sequences, prompt, context_length)
    return InferenceGrid(phases, largest(*phases.values()))
