"""Which card would do: every card of the catalogue asked the same question, the smallest that fit first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vram_advisor.advice.pace import Pace
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.answer import AppliedCalibration
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.gpu import Device, GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Span, Speed
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.usable import device_from_spec

TRAINING_VENDORS = ("NVIDIA", "AMD")
"""Whose cards the stacks run on whose memory is modelled."""
FORMS = ("desktop", "workstation", "datacentre", "laptop")
"""Cards that people put into a machine or rent."""
Learnt = Callable[[Workload, Plan, Device], tuple[Coefficients, AppliedCalibration | None]]
"""Coefficients for a plan on a card, and which measurement corrects them."""
ORDER = {"fits": 0, "tight": 1, "spill": 2, "no": 3, "unknown": 4}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RankedCard:
    """One card, or several of one kind, and how it does the job."""

    spec: GpuSpec
    count: int
    need_bytes: int
    """Minimum to run on one of them [B]."""
    verdict: Verdict
    tokens_per_second: Span | None
    """None where the catalogue lacks the rates of the card."""
    times_as_fast: float | None
    """Beside the present card; None where there is none or its speed is not known."""
    calibration: AppliedCalibration | None = None
    """What was measured on such a card, or with this recipe, and corrects its figures."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CardRanking:
    """What ``gpus --for`` shows."""

    model: ModelSpec
    workload: Workload
    plan: Plan
    title: str
    """What is stored how: FP16, Q8, Q4."""
    present: Device | None
    cards: tuple[RankedCard, ...]
    now: RankedCard | None = None
    """How the present card does the job; None where the catalogue does not have it."""


def able(spec: GpuSpec, workload: Workload) -> bool:
    """Whether the card runs the programs whose memory is modelled."""
    if not workload.trains:
        return spec.form in FORMS or spec.vendor == "Apple"
    return spec.form in FORMS and spec.vendor in TRAINING_VENDORS and spec.bf16


def rank_cards(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    cards: Iterable[GpuSpec],
    learnt: Learnt,
    present: Device | None = None,
    system: str = "linux",
) -> tuple[RankedCard, ...]:
    """Every able card, best first: those that fit, of these the smallest, of these the fastest.

    Args:
        plan: its ``num_gpus`` of every card.
        learnt: coefficients for a plan on a card, and what corrects them.
        present: what an upgrade is measured against.
        system: of the computer that the cards would be in.

    Raises:
        BadInput, NotModelled: the question cannot be estimated for any card.
    """
    now = None if present is None else _speed(model, workload, plan, present, learnt(workload, plan, present)[0])
    found = []
    for spec in cards:
        if able(spec, workload):
            device = device_from_spec(spec, plan.num_gpus, system)
            found.append(ranked(model, workload, plan, spec, device, learnt, now))
    return tuple(sorted(found, key=_order))


def ranked(
    model: ModelSpec, workload: Workload, plan: Plan, spec: GpuSpec, device: Device, learnt: Learnt,
    beside: Speed | None = None,
) -> RankedCard:  # fmt: skip
    """How one card, or several of it, does the job.

    Args:
        beside: the speed that its own is compared with.
    """
    coefficients, applied = learnt(workload, plan, device)
    need = estimate(model, workload, plan, recipe(plan.recipe), device, coefficients).estimate
    speed = _speed(model, workload, plan, device, coefficients)
    ratio = None
    if beside is not None and speed is not None:
        ratio = float(speed.tokens_per_second.mid) / float(beside.tokens_per_second.mid)
    rate = speed.tokens_per_second if speed is not None else None
    return RankedCard(spec, plan.num_gpus, int(need.minimum_mean), judge(need, device), rate, ratio, applied)


def _speed(
    model: ModelSpec, workload: Workload, plan: Plan, device: Device, coefficients: Coefficients
) -> Speed | None:
    return Pace(device, coefficients).speed(model, workload, plan)


def _order(card: RankedCard) -> tuple[int, int, float, str]:
    speed = float(card.tokens_per_second.mid) if card.tokens_per_second is not None else 0.0
    return (ORDER[card.verdict.outcome], card.spec.vram_bytes, -speed, card.spec.id)
