"""Advice: changes that make a plan fit, what they save and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vram_advisor.domain.answer import AppliedCalibration, Option
from vram_advisor.domain.estimate import Estimate, Phase, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.job import PlannedJob
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.throughput import Speed

Tier = Literal["same result", "same model", "another"]
"""same result: only memory and speed change; same model: precision, optimizer, adapter or lengths; another: method or
model."""
TIERS: tuple[Tier, ...] = ("same result", "same model", "another")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Change:
    """One field with a new value."""

    field: str
    """Of ``Workload`` or ``Plan``; ``model`` for another model."""
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Move:
    """One lever pulled: fields that change together."""

    lever: str
    title: str
    """``micro batch 4 → 2, accumulation 1 → 2``."""
    changes: tuple[Change, ...]
    tier: Tier
    quality: float
    """What the result loses, in steps that are worth about as much as halving the rank; 0: nothing."""
    cost: str
    """What it costs, in words."""
    needs: str
    """Library, card or system that it needs; empty: nothing."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Advice:
    """Moves that were estimated together."""

    moves: tuple[Move, ...]
    model: ModelSpec
    workload: Workload
    asked: Plan
    """What a person asks for it with."""
    plan: Plan
    """The same with every choice made."""
    estimate: Estimate
    verdict: Verdict
    saved_bytes: int
    """Of the minimum to run [B]."""
    relative_time: float
    """Time for the same work beside the plan as asked; 1: the same."""
    tier: Tier
    quality: float
    peak_before: Phase
    peak_after: Phase
    reasons: tuple[str, ...]
    """What it is best at: smallest change, fastest, best quality."""
    speed: Speed | None = None
    """None where the catalogue lacks the rates of the card."""
    then: tuple[str, ...] = ()
    """What the room that it leaves allows: ``batch 2 → 8``."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bound:
    """How far one field goes on the card."""

    field: str
    asked: int
    largest: int
    """The largest value that fits."""
    next_step: str
    """What the step after it would need."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AdviceAnswer:
    """Everything that ``advise`` shows."""

    asked: Option
    """The plan as asked."""
    model: ModelSpec
    workload: Workload
    device: Device | None
    advices: tuple[Advice, ...]
    """Ranked, best first; where the plan fits as it is, what would make it faster or better."""
    front: tuple[Advice, ...]
    """No other plan that was looked at is better in memory, time and quality at once."""
    bounds: tuple[Bound, ...]
    looked_at: int
    """Plans that were estimated."""
    notes: tuple[str, ...]
    speed: Speed | None = None
    """Of the plan as asked."""
    calibration: AppliedCalibration | None = None
    """Of the plan as asked."""
    job: PlannedJob | None = None
    """On the dataset that was given."""
