"""Which card would do: every card of the catalogue asked the same question, the smallest that fit first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.advice.pace import Pace
from vram_advisor.advice.verdict import judge
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.gpu import Device, GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Span
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.usable import device_from_spec

TRAINING_VENDORS = ("NVIDIA", "AMD")
"""Whose cards the stacks run on whose memory is modelled."""
FORMS = ("desktop", "workstation", "datacentre", "laptop")
"""Cards that people put into a machine or rent."""
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
    coefficients: Coefficients,
    present: Device | None = None,
) -> tuple[RankedCard, ...]:
    """Every able card, best first: those that fit, of these the smallest, of these the fastest.

    Args:
        plan: its ``num_gpus`` of every card.
        present: what an upgrade is measured against.

    Raises:
        BadInput, NotModelled: the question cannot be estimated for any card.
    """
    habits = recipe(plan.recipe)
    now = Pace(present, coefficients).speed(model, workload, plan) if present is not None else None
    found = []
    for spec in cards:
        if not able(spec, workload):
            continue
        device = device_from_spec(spec, plan.num_gpus)
        need = estimate(model, workload, plan, habits, device, coefficients).estimate
        speed = Pace(device, coefficients).speed(model, workload, plan)
        ratio = None
        if now is not None and speed is not None:
            ratio = float(speed.tokens_per_second.mid) / float(now.tokens_per_second.mid)
        found.append(
            RankedCard(
                spec,
                plan.num_gpus,
                int(need.minimum_mean),
                judge(need, device),
                speed.tokens_per_second if speed is not None else None,
                ratio,
            )
        )
    return tuple(sorted(found, key=_order))


def _order(card: RankedCard) -> tuple[int, int, float, str]:
    speed = float(card.tokens_per_second.mid) if card.tokens_per_second is not None else 0.0
    return (ORDER[card.verdict.outcome], card.spec.vram_bytes, -speed, card.spec.id)
