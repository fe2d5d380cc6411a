"""Which models fit a card: every model of the catalogue asked the same question, the largest that fit first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.advice.options import plans
from vram_advisor.advice.reach import bound
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import NotModelled

RANK = {"fits": 0, "tight": 1}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittingModel:
    """A model, the most exact way in which it fits, and how far it goes then."""

    model: ModelSpec
    parameters: int
    title: str
    """What is stored how: FP16, Q8, Q4."""
    plan: Plan
    need_bytes: int
    verdict: Verdict
    longest: int
    """The longest sequence or context that fits [tokens]."""


def fitting_models(
    models: Iterable[ModelSpec], workload: Workload, plan: Plan, device: Device, coefficients: Coefficients
) -> tuple[FittingModel, ...]:
    """Models that fit the card, the largest first."""
    found = [one for model in models if (one := _best(model, workload, plan, device, coefficients)) is not None]
    return tuple(sorted(found, key=lambda one: (RANK[one.verdict.outcome], -one.parameters, one.model.id)))


def _best(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device, coefficients: Coefficients
) -> FittingModel | None:
    habits = recipe(plan.recipe)
    tight: FittingModel | None = None
    for title, candidate in plans(model, workload, plan, plan.quantization, device):
        if count_parameters(model) * quantization(candidate.quantization).bits // 8 > device.free_bytes:
            # The weights alone are more than is free.
            continue
        try:
            value = estimate(model, workload, candidate, habits, device, coefficients)
        except NotModelled:
            continue
        verdict = judge(value.estimate, device)
        if verdict.outcome not in RANK or (verdict.outcome == "tight" and tight is not None):
            continue
        field = "sequence_length" if workload.trains else "context_length"
        longest = bound(model, workload, candidate, device, coefficients, field).largest
        need = int(value.estimate.minimum_mean)
        made = FittingModel(model, count_parameters(model), title, value.plan, need, verdict, longest)
        if verdict.outcome == "fits":
            return made
        tight = made
    return tight
