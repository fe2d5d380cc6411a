"""Which models fit a card: every model of the catalogue asked the same question, the largest that fit first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vram_advisor.advice.longest import lacking, longest_length
from vram_advisor.advice.options import plans
from vram_advisor.advice.pace import CoefficientsOf, coefficients_of
from vram_advisor.advice.precision import PrecisionStep, precision_steps, weights_exceed
from vram_advisor.advice.reach import FURTHEST, GRAIN, with_field
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.answer import AppliedCalibration
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import runtime_of
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import AdvisorError

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittingModels:
    """What ``models --fit`` shows."""

    device: Device
    workload: Workload
    models: tuple[FittingModel, ...]
    looked_at: int
    """Models that were asked about."""
    steps: tuple[PrecisionStep, ...] = ()
    """The largest model at each precision, and the next."""
    calibration: AppliedCalibration | None = None
    """What corrected the largest that fits."""


def fitting_models(
    models: Sequence[ModelSpec],
    workload: Workload,
    plan: Plan,
    device: Device,
    coefficients: Coefficients | CoefficientsOf,
    tell: Callable[[str], None] = lambda text: None,
) -> FittingModels:
    """Models that fit the card, the largest first.

    Args:
        coefficients: the same for all plans, or by plan.
        tell: called with what is being done.
    """
    learnt = coefficients_of(coefficients)
    found = []
    for number, model in enumerate(models, 1):
        tell(f"model {number} of {len(models)}: {model.id}")
        one = _best(model, workload, plan, device, learnt)
        if one is not None:
            found.append(one)
    ordered = sorted(found, key=lambda one: (RANK[one.verdict.outcome], -one.parameters, one.model.id))
    steps = precision_steps(models, workload, plan, device, learnt)
    return FittingModels(device, workload, tuple(ordered), len(models), steps)


def _best(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device, learnt: CoefficientsOf
) -> FittingModel | None:
    habits = recipe(plan.recipe)
    plan = replace(plan, runtime=runtime_of(workload, plan, model=model))
    tight: FittingModel | None = None
    for title, candidate in plans(model, workload, plan, plan.quantization, device):
        if weights_exceed(model, candidate, device):
            continue
        coefficients = learnt(workload, candidate)
        try:
            value = estimate(model, workload, candidate, habits, device, coefficients)
        except AdvisorError:
            continue
        verdict = judge(value.estimate, device)
        if verdict.outcome not in RANK or (verdict.outcome == "tight" and tight is not None):
            continue
        longest = _longest(model, workload, candidate, device, coefficients)
        need = int(value.estimate.minimum_mean)
        made = FittingModel(model, count_parameters(model), title, value.plan, need, verdict, longest)
        if verdict.outcome == "fits":
            return made
        tight = made
    return tight


def _longest(model: ModelSpec, workload: Workload, plan: Plan, device: Device, coefficients: Coefficients) -> int:
    field = "sequence_length" if workload.trains else "context_length"
    habits = recipe(plan.recipe)

    def short(length: int) -> float:
        asked, _ = with_field(workload, plan, field, length)
        try:
            return lacking(estimate(model, asked, plan, habits, device, coefficients).estimate, device)
        except AdvisorError:
            # A length that cannot be run is as good as one that does not fit.
            return float(device.total_bytes)

    return longest_length(short, model.max_position_embeddings or FURTHEST[field], GRAIN[field])
