"""What would make it fit: moves estimated together, ranked, with what they save, cost and allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, log2
from typing import Any

from vram_advisor.advice.front import Front
from vram_advisor.advice.levers import WORKLOAD_FIELDS, Setting, all_moves
from vram_advisor.advice.moves import Moves, Rough, Tried, quality_of, tier_of
from vram_advisor.advice.options import lacks_bf16
from vram_advisor.advice.pace import CoefficientsOf, coefficients_of
from vram_advisor.advice.reach import bound, bounds
from vram_advisor.advice.search import search
from vram_advisor.advice.verdict import judge, probability_of_fit
from vram_advisor.domain.advice import Advice, AdviceAnswer, Change, Move
from vram_advisor.domain.answer import Option
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.estimate import Estimate, Verdict
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES
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
        model, jobs, plans = self.setting.model, dict[str, Any](), dict[str, Any]()
        for move in moves:
            for change in move.changes:
                if change.field == "model":
                    model = self.models[change.after]
                else:
                    (jobs if change.field in WORKLOAD_FIELDS else plans)[change.field] = change.after
        workload, plan = self.setting.workload, self.setting.asked
        return model, replace(workload, **jobs) if jobs else workload, replace(plan, **plans) if plans else plan

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
        if (found := self.need(moves)) is not None:
            return found
        applied = self.apply(moves)
        if applied is None:
            return None
        need = applied.estimate
        beyond = need.minimum_mean - need.peak.allocated_bytes.mid
        phases = tuple(phase.allocated_bytes + beyond for phase in need.phases)
        seconds = self.seconds(applied.model, applied.workload, applied.plan)
        return Tried(phases, applied.verdict.probability or 0.0, seconds)

    def need(self, moves: Moves) -> Tried | None:
        """The same under llama.cpp, without what explains the estimate; None elsewhere, and where it cannot run."""
        try:
            model, workload, plan = self.changed(moves)
            if workload.trains or plan.runtime not in GGUF_RUNTIMES:
                return None
            from vram_advisor.memory.llama_cpp.estimate import need_of

            mean, sd = need_of(model, workload, plan, recipe(plan.recipe), self.device)
        except AdvisorError:
            return None
        probability = probability_of_fit(mean, sd, self.device.free_bytes, self.device.free_sd_bytes)
        return Tried((mean,), probability, self.seconds(model, workload, plan))

    def look(self, moves: Moves) -> Rough | None:
        """Bounds of what a set of moves needs under llama.cpp, whose estimates take long; None where there are none."""
        try:
            model, workload, plan = self.changed(moves)
            if workload.trains or plan.runtime not in GGUF_RUNTIMES:
                return None
            from vram_advisor.memory.llama_cpp.bracket import bracket

            found = bracket(model, workload, plan, recipe(plan.recipe), self.device)
        except AdvisorError:
            return None
        if found is None:
            return None
        free, sd = self.device.free_bytes, self.device.free_sd_bytes
        return Rough(
            found.least,
            found.most,
            probability_of_fit(found.least, found.least_sd, free, sd),
            probability_of_fit(found.most, found.most_sd, free, sd),
        )


def advise(desk: Desk) -> AdviceAnswer:
    """The best ways to make it fit, and how far the card goes.

    Raises:
        AdvisorError: the plan as asked cannot be estimated.
    """
    setting, device = desk.setting, desk.device
    asked = desk._applied(())
    desk.kept[()] = asked
    levers = [*_that_run(all_moves(setting), device), *_smaller_models(desk)]
    result = search(levers, desk.attempt, float(device.free_bytes), desk.time, desk.look)
    advices = [_advice(desk, asked, found.moves, found.reasons) for found in result.found if found.moves]
    front = [moves for moves in Front(desk.attempt, desk.time).of(result.able) if moves]
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
        looked_at=result.looked_at,
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
    result = search(levers, desk.attempt, float(desk.device.free_bytes), desk.time, desk.look)
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
