"""The largest model of a list that fits a card at each precision, and what the next larger one would need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vram_advisor.advice.options import plans
from vram_advisor.advice.pace import CoefficientsOf
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import runtime_of
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import AdvisorError


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Needed:
    """A model and its minimum to run."""

    model: ModelSpec
    need_bytes: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrecisionStep:
    """How far a card goes at one precision."""

    title: str
    """FP16, Q8, Q4 ..."""
    largest: Needed | None
    """None: not even the smallest fits."""
    next: Needed | None
    """Of the larger ones that do not fit the one that needs least; None where there is none that can be estimated."""


def precision_steps(
    models: Sequence[ModelSpec], workload: Workload, plan: Plan, device: Device, learnt: CoefficientsOf
) -> tuple[PrecisionStep, ...]:
    """At each precision that people choose between, the most exact first."""
    ordered = sorted(models, key=count_parameters, reverse=True)
    able = [(model, candidates(model, workload, plan, device)) for model in ordered]
    common = Counter(title for _, choices in able for title in choices)
    # What less than half of the models have is the format that these are published in, and no choice.
    titles = [title for title, count in common.items() if 2 * count > len(ordered)]
    found = []
    for title in titles:
        those = [(model, choices[title]) for model, choices in able if title in choices]
        found.append(PrecisionStep(title, *_walk(those, workload, device, learnt)))
    return tuple(found)


def _walk(
    models: Sequence[tuple[ModelSpec, Plan]], workload: Workload, device: Device, learnt: CoefficientsOf
) -> tuple[Needed | None, Needed | None]:
    """From the largest down. Models whose weights alone are too large are passed by without an estimate."""
    passed: tuple[ModelSpec, Plan] | None = None
    beyond: Needed | None = None

    def needed(model: ModelSpec, plan: Plan) -> tuple[Needed, bool] | None:
        try:
            found = estimate(model, workload, plan, recipe(plan.recipe), device, learnt(workload, plan)).estimate
        except AdvisorError:
            return None
        return Needed(model, int(found.minimum_mean)), judge(found, device).outcome == "fits"

    for model, plan in models:
        if weights_exceed(model, plan, device):
            passed = (model, plan)
            continue
        found = needed(model, plan)
        if found is None:
            continue
        if found[1]:
            if beyond is None and passed is not None and (larger := needed(*passed)) is not None:
                beyond = larger[0]
            return found[0], beyond
        if beyond is None or found[0].need_bytes < beyond.need_bytes:
            beyond = found[0]
    return None, beyond


def candidates(model: ModelSpec, workload: Workload, plan: Plan, device: Device) -> dict[str, Plan]:
    """What people choose between for a model, by title."""
    meant = replace(plan, runtime=runtime_of(workload, plan, model=model))
    return dict(plans(model, workload, meant, meant.quantization, device))


def weights_exceed(model: ModelSpec, plan: Plan, device: Device) -> bool:
    """Whether the weights alone are more than is free."""
    return count_parameters(model) * quantization(plan.quantization).bits // 8 > device.free_bytes
