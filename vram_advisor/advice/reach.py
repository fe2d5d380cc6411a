"""How far a card goes: the largest value of one field that still fits, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vram_advisor.advice.longest import longest_length, short_of
from vram_advisor.domain.advice import Bound
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.bytes import gib
from vram_advisor.units.errors import AdvisorError

TRAINING_FIELDS = ("sequence_length", "micro_batch_size", "lora_r")
INFERENCE_FIELDS = ("context_length", "num_sequences")
GRAIN = {"sequence_length": 64, "context_length": 256}
"""Steps in which a field is searched; 1 where it is not named."""
FURTHEST = {
    "sequence_length": 1 << 20,
    "context_length": 1 << 22,
    "micro_batch_size": 4096,
    "lora_r": 1024,
    "num_sequences": 1 << 16,
}
"""Where the search ends: beyond it nothing is asked."""


def with_field(workload: Workload, plan: Plan, field: str, number: int) -> tuple[Workload, Plan]:
    """Workload and plan with one field set."""
    change: dict[str, Any] = {field: number}
    if hasattr(workload, field):
        return replace(workload, **change), plan
    return workload, replace(plan, **change)


def bounds(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device, coefficients: Coefficients
) -> tuple[Bound, ...]:
    """The longest sequence, the largest batch and so on that fit this card."""
    fields = TRAINING_FIELDS if workload.trains else INFERENCE_FIELDS
    found = []
    for field in fields:
        if field == "lora_r" and workload.method == "full":
            continue
        found.append(bound(model, workload, plan, device, coefficients, field))
    return tuple(found)


def bound(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device, coefficients: Coefficients, field: str
) -> Bound:
    """How far one field goes on the card, and what one step more would need."""
    habits = recipe(plan.recipe)
    kept: dict[int, float] = {}

    def need(number: int) -> tuple[float, float, int | None]:
        asked, pulled = with_field(workload, plan, field, number)
        if not asked.trains and pulled.runtime in GGUF_RUNTIMES:
            from vram_advisor.memory.llama_cpp.estimate import need_of

            return (*need_of(model, asked, pulled, habits, device), None)
        found = estimate(model, asked, pulled, habits, device, coefficients).estimate
        return found.minimum_mean, found.minimum_sd, found.share_bytes

    def short(number: int) -> float:
        if number not in kept:
            try:
                kept[number] = short_of(*need(number), device)
            except AdvisorError:
                # A value that cannot be run is as good as one that does not fit.
                kept[number] = float(device.total_bytes)
        return kept[number]

    grain, furthest = GRAIN.get(field, 1), FURTHEST[field]
    if field in ("sequence_length", "context_length") and model.max_position_embeddings:
        furthest = min(furthest, model.max_position_embeddings)
    most = longest_length(short, furthest, grain)
    while 0 < most <= furthest - grain and short(most + grain) <= 0:
        most += grain
    before = getattr(workload if hasattr(workload, field) else plan, field)
    return Bound(field, before, most, _next(lambda number: need(number)[0], most, grain, furthest, device))


def _next(need: Callable[[int], float], most: int, grain: int, furthest: int, device: Device) -> str:
    if most + grain > furthest:
        return "as far as the model goes" if grain > 1 else "as far as was looked"
    after = most + grain if grain == 1 or most < 16 * grain else most + most // 8 // grain * grain
    try:
        needed = need(after)
    except AdvisorError as error:
        return str(error)
    return f"{after:,} would need {gib(needed)} of {gib(device.free_bytes)} free"
