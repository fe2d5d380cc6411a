"""What would make it fit: moves estimated together, ranked, with what they save, cost and allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, log2

from vram_advisor.advice.levers import WORKLOAD_FIELDS, Setting, all_moves
from vram_advisor.advice.options import lacks_bf16
from vram_advisor.advice.pace import CoefficientsOf, coefficients_of
from vram_advisor.advice.reach import bound, bounds
from vram_advisor.advice.search import AT_ONCE, Moves, Tried, quality_of, search, tier_of
from vram_advisor.advice.verdict import FITS, judge
from vram_advisor.domain.advice import Advice, AdviceAnswer, Change, Move
from vram_advisor.domain.answer import Option
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.domain.throughput import Speed
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.errors import AdvisorError

SpeedOf = Callable[[ModelSpec, Workload, Plan], Speed | None]
"""Speed of a plan on the card; None where it is not known."""
Seconds = Callable[[ModelSpec, Workload, Plan], float]
"""Time for one token of the work on the card [s]."""
SHOWN = 5
"""Advices of one answer."""
OTHER_MODEL, HALF_THE_MODEL = 6.0, 3.0
"""What the result loses with another model, and further for each halving of it: more than by weights in 4 bits, so that a
large model in 4 bits goes before one of half its size in 16."""
ALIKE = 1.05
"""Memory and times that differ by less are no reason for another plan."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Applied:
    """A plan with moves applied, and what it needs."""

    model: ModelSpec
    workload: Workload
    asked: Plan
    plan: Plan
    """With every choice made."""
    estimate: Estimate
    verdict: Verdict


class Desk:
    """Everything that one question about one card is answered with; estimates are kept."""

    def __init__(
        self,
        setting: Setting,
        device: Device,
        coefficients: Coefficients | CoefficientsOf,
        seconds: Seconds,
        models: Sequence[ModelSpec] = (),
        speed: SpeedOf = lambda model, workload, plan: None,
    ) -> None:
        self.setting, self.device, self.seconds, self.speed = setting, device, seconds, speed
        self.learnt = coefficients_of(coefficients)
        self.models = {model.id: model for model in (*models, setting.model)}
        self.kept: dict[Moves, Applied | None] = {}

    def apply(self, moves: Moves) -> Applied | None:
        """The plan with moves applied, estimated; None where it cannot run."""
        if moves not in self.kept:
            try:
                self.kept[moves] = self._applied(moves)
            except AdvisorError:
                self.kept[moves] = None
        return self.kept[moves]

    def changed(self, moves: Moves) -> tuple[ModelSpec, Workload, Plan]:
        """Model, workload and plan with moves applied. Raises BadInput."""
        model, workload, plan = self.setting.model, self.setting.workload, self.setting.asked
        for move in moves:
            for change in move.changes:
                if change.field == "model":
                    model = self.models[change.after]
                elif change.field in WORKLOAD_FIELDS:
                    workload = replace(workload, **{change.field: change.after})
                else:
                    plan = replace(plan, **{change.field: change.after})
        return model, workload, plan

    def time(self, moves: Moves) -> float:
        """Time of a set of moves for one token [s]; infinity where it cannot run."""
        try:
            return self.seconds(*self.changed(moves))
        except AdvisorError:
            return inf

    def _applied(self, moves: Moves) -> Applied:
        model, workload, plan = self.changed(moves)
        found = estimate(model, workload, plan, recipe(plan.recipe), self.device, self.learnt(workload, plan))
        return Applied(model, workload, plan, found.plan, found.estimate, judge(found.estimate, self.device))

    def attempt(self, moves: Moves) -> Tried | None:
        """What the search sees of a set of moves."""
        applied = self.apply(moves)
        if applied is None:
            return None
        need = applied.estimate
        beyond = need.minimum_mean - need.peak.allocated_bytes.mid
        phases = tuple(phase.allocated_bytes + beyond for phase in need.phases)
        seconds = self.seconds(applied.model, applied.workload, applied.plan)
        return Tried(phases, applied.verdict.probability or 0.0, seconds)


def advise(desk: Desk) -> AdviceAnswer:
    """The best ways to make it fit, and how far the card goes.

    Raises:
        AdvisorError: the plan as asked cannot be estimated.
    """
    setting, device = desk.setting, desk.device
    asked = desk._applied(())
    desk.kept[()] = asked
    levers = [*_that_run(all_moves(setting), device), *_smaller_models(desk)]
    result = search(levers, desk.attempt, float(device.free_bytes), desk.time)
    advices = [_advice(desk, asked, found.moves, found.reasons) for found in result.found if found.moves]
    # A list of all there is to do was tried for what it says of shorter ones.
    able = {
        moves: tried for moves, tried in result.tried.items() if tried.probability >= FITS and len(moves) <= AT_ONCE
    }
    front = [moves for moves in _front(able) if moves]
    option = Option("as asked", setting.plan, recipe(setting.plan.recipe), asked.estimate, asked.verdict)
    fits = asked.verdict.outcome == "fits"
    return AdviceAnswer(
        asked=option,
        model=setting.model,
        workload=setting.workload,
        device=device,
        advices=tuple(advices[:SHOWN]),
        front=tuple(_advice(desk, asked, moves, ()) for moves in front),
        bounds=bounds(
            setting.model, setting.workload, setting.plan, device, desk.learnt(setting.workload, setting.plan)
        )
        if fits
        else (),
        looked_at=len(result.tried),
        notes=(),
        speed=desk.speed(setting.model, setting.workload, setting.plan),
    )


def best_advices(desk: Desk, count: int) -> tuple[Advice, ...]:
    """The few best changes that make it fit, without what else ``advise`` looks at.

    Raises:
        AdvisorError: the plan as asked cannot be estimated.
    """
    asked = desk._applied(())
    desk.kept[()] = asked
    levers = [*all_moves(desk.setting), *_smaller_models(desk)]
    result = search(levers, desk.attempt, float(desk.device.free_bytes), desk.time)
    found = [each for each in result.found if each.moves][:count]
    return tuple(_advice(desk, asked, each.moves, each.reasons) for each in found)


def _that_run(levers: Sequence[Moves], device: Device) -> list[Moves]:
    """Levers without the moves that need bf16 where the card has none."""
    if not lacks_bf16(device):
        return list(levers)
    kept = [tuple(m for m in moves if all(c.after != "bf16" for c in m.changes)) for moves in levers]
    return [moves for moves in kept if moves]


def _smaller_models(desk: Desk) -> list[tuple[Move, ...]]:
    """Another model of the family, the largest first."""
    now = desk.setting.model
    count = count_parameters(now)
    smaller = sorted(
        (m for m in desk.models.values() if m.id != now.id and count_parameters(m) < count),
        key=lambda m: -count_parameters(m),
    )
    moves = tuple(
        Move(
            "model", f"{model.id} instead of {now.id}", (Change("model", now.id, model.id),), "another",
            OTHER_MODEL + HALF_THE_MODEL * log2(count / count_parameters(model)), "a smaller model", "",
        )
        for model in smaller
    )  # fmt: skip
    return [moves] if moves else []


def _advice(desk: Desk, asked: Applied, moves: Moves, reasons: tuple[str, ...]) -> Advice:
    applied = desk.apply(moves)
    assert applied is not None
    before, setting = asked.estimate, desk.setting
    time = desk.seconds(applied.model, applied.workload, applied.plan) / desk.seconds(
        setting.model, setting.workload, setting.plan
    )
    return Advice(
        moves=moves,
        model=applied.model,
        workload=applied.workload,
        asked=applied.asked,
        plan=applied.plan,
        estimate=applied.estimate,
        verdict=applied.verdict,
        saved_bytes=int(before.minimum_mean - applied.estimate.minimum_mean),
        relative_time=time,
        tier=tier_of(moves),
        quality=quality_of(moves),
        peak_before=before.peak.phase,
        peak_after=applied.estimate.peak.phase,
        reasons=reasons,
        speed=desk.speed(applied.model, applied.workload, applied.plan),
        then=_then(desk, applied) if applied.verdict.outcome == "fits" else (),
    )


def _then(desk: Desk, applied: Applied) -> tuple[str, ...]:
    """What the room that is left allows."""
    said = []
    learnt = desk.learnt(applied.workload, applied.plan)
    for field, words in (("micro_batch_size", "batch"), ("sequence_length", "sequence length")):
        if not applied.workload.trains:
            continue
        found = bound(applied.model, applied.workload, applied.plan, desk.device, learnt, field)
        if found.largest > found.asked:
            said.append(f"{words} {found.asked:,} → {found.largest:,}")
    return tuple(said)


def _front(tried: dict[Moves, Tried]) -> list[Moves]:
    """Sets that nothing else beats in memory, time and quality at once, those first that take least from the result.

    Of sets that hardly differ in memory and time the one with fewer moves stands for all.
    """
    points = sorted(
        (quality_of(moves), len(moves), max(t.phases), t.time, i, moves) for i, (moves, t) in enumerate(tried.items())
    )
    kept: list[tuple[float, float, Moves]] = []
    for _, _, need, time, _, moves in points:
        if not any(other <= need * ALIKE and t <= time * ALIKE for other, t, _ in kept):
            kept.append((need, time, moves))
    return [moves for need, time, moves in kept if not any(_beats(other, (need, time, moves)) for other in kept)]


def _beats(one: tuple[float, float, Moves], other: tuple[float, float, Moves]) -> bool:
    """Whether one plan is clearly better in memory or time, and worse in nothing."""
    (need, time, moves), (other_need, other_time, other_moves) = one, other
    if need > other_need or time > other_time or quality_of(moves) > quality_of(other_moves):
        return False
    return need * ALIKE < other_need or time * ALIKE < other_time
