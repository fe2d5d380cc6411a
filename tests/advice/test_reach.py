"""How far a card goes: what is said to fit does, a step more does not, and more memory never goes less far."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from vram_advisor.advice.reach import FURTHEST, GRAIN, bound, bounds, with_field
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB

TRAINED, SERVED = Workload(method="lora", sequence_length=1024), Workload(context_length=2048)
Q4 = Plan(quantization="nf4_double")
CASES: list[tuple[str, Workload, Plan]] = [
    ("llama-2-7b", TRAINED, Q4),
    ("llama-3.2-1b", TRAINED, Plan(quantization="bf16", gradient_checkpointing="none")),
    ("llama-3.2-1b", Workload(method="full"), Plan(weights_dtype="bf16", mixed_precision="none")),
    ("mistral-7b-v0.1", SERVED, Plan(runtime="llama.cpp", quantization="q4_k_m")),
    ("qwen2.5-7b", SERVED, Plan(runtime="transformers", quantization="nf4_double")),
    ("llama-3.1-8b", SERVED, Plan(runtime="vllm", quantization="awq_int4")),
]
NAMES = [f"{model}-{workload.method}-{plan.runtime or plan.quantization}" for model, workload, plan in CASES]


def card(gib: float | None = None) -> Device:
    """A 5070, or one like it with so much memory free [GiB]."""
    device = device_from_spec(find_gpu("rtx-5070"))
    return device if gib is None else replace(device, free_bytes=int(gib * GIB), total_bytes=int((gib + 0.4) * GIB))


def outcome(model: str, workload: Workload, plan: Plan, device: Device, field: str, number: int) -> str:
    asked, pulled = with_field(workload, plan, field, number)
    found = estimate(find_model(model), asked, pulled, recipe(plan.recipe), device, NOMINAL)
    return judge(found.estimate, device).outcome


@pytest.mark.parametrize(("model", "workload", "plan"), CASES, ids=NAMES)
def test_a_bound_fits_and_a_step_more_does_not(model: str, workload: Workload, plan: Plan) -> None:
    device, spec = card(), find_model(model)
    for found in bounds(spec, workload, plan, device, NOMINAL):
        step = GRAIN.get(found.field, 1)
        furthest = FURTHEST[found.field]
        if step > 1 and spec.max_position_embeddings:
            furthest = min(furthest, spec.max_position_embeddings)
        assert found.largest > 0, found.field
        assert outcome(model, workload, plan, device, found.field, found.largest) == "fits", found
        if found.largest + step > furthest:
            assert found.next_step.startswith("as far as"), found
        else:
            after = outcome(model, workload, plan, device, found.field, found.largest + step)
            assert after != "fits", found
            assert "would need" in found.next_step, found


@pytest.mark.parametrize(("model", "workload", "plan"), CASES, ids=NAMES)
def test_more_memory_never_goes_less_far(model: str, workload: Workload, plan: Plan) -> None:
    spec = find_model(model)
    reached = [bounds(spec, workload, plan, card(gib), NOMINAL) for gib in (7, 8, 9.5, 12, 16, 24)]
    for smaller, larger in pairwise(reached):
        for one, other in zip(smaller, larger, strict=True):
            assert one.field == other.field
            assert one.largest <= other.largest, (one, other)


@pytest.mark.parametrize(("field", "before", "after"), [
    ("micro_batch_size", {"sequence_length": 1024}, {"sequence_length": 2048}),
    ("sequence_length", {"micro_batch_size": 1}, {"micro_batch_size": 4}),
    ("lora_r", {"sequence_length": 1024}, {"sequence_length": 4096}),
])  # fmt: skip
def test_what_takes_more_leaves_less_room(field: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    model = find_model("llama-2-7b")
    far, near = (bound(model, replace(TRAINED, **more), Q4, card(), NOMINAL, field) for more in (before, after))
    assert near.largest < far.largest


def test_nothing_fits_a_card_that_is_too_small() -> None:
    model = find_model("llama-2-13b")
    for found in bounds(model, TRAINED, Plan(quantization="bf16"), card(), NOMINAL):
        assert found.largest == 0, found
        assert "would need" in found.next_step


def test_a_full_fine_tune_has_no_rank() -> None:
    model = find_model("llama-3.2-1b")
    found = bounds(model, Workload(method="full"), Plan(), card(24), NOMINAL)
    assert [each.field for each in found] == ["sequence_length", "micro_batch_size"]


def test_no_sequence_is_longer_than_the_model_goes() -> None:
    # Llama 2 was made for 4,096 positions, and a card of 80 GB is far from full with them.
    found = bound(
        find_model("llama-2-7b"), TRAINED, Q4, device_from_spec(find_gpu("h100-sxm")), NOMINAL, "sequence_length"
    )
    assert (found.largest, found.next_step) == (4096, "as far as the model goes")
