"""What one model needs for every question on every kind of card."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vram_advisor.advice.options import lacks_bf16, plans
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.estimate import PHASE_TITLES, Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.recipe import Recipe, recipe
from vram_advisor.domain.sweep import Question
from vram_advisor.memory.allocator import FIXED_SHARE
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.numbers import Numbers
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.timeline import training_numbers
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sweep.kinds import Floats, Kinds, Whole, context_of, family
from vram_advisor.units.errors import AdvisorError

PHASES = tuple(PHASE_TITLES)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Needs:
    """Of one model. Arrays have the shape [questions, kinds] and are not a number where a kind is not asked about.

    A process needs ``minimum`` and its context; where the card is smaller than what would be ``reserved``, cached
    blocks are given back down to ``least``.
    """

    minimum: Floats
    """Mean of the minimum to run, context left out [B]."""
    spread: Floats
    """Its standard deviation [B]."""
    reserved: Floats
    """What the allocator would hold on a card without bound [B]."""
    least: Floats
    """What it holds when it has given back what it can [B]."""
    share: Floats
    """What the program takes of the card whatever it needs [B]; not a number where it takes what it needs."""
    phase: Whole
    """Index of ``PHASES`` of the peak."""
    refusal: Whole
    """Index of ``refusals``; -1 where there is an answer."""
    refusals: tuple[str, ...]
    """Why there is none."""


class Estimator:
    """Estimates models of the catalogue, one after the other, for the same questions and kinds of card."""

    def __init__(self, questions: tuple[Question, ...], found: Kinds) -> None:
        self.questions, self.kinds = questions, found
        self.families = [family(question) for question in questions]
        self._fine_tunes: dict[tuple[int, bool], tuple[Plan, Recipe]] = {}

    def needs(self, id: str) -> Needs:
        """What a model needs; where it is not modelled, every answer is that."""
        shape = (len(self.questions), len(self.kinds.examples))
        minimum, spread, reserved, least, share = (np.full(shape, np.nan) for _ in range(5))
        phase, refusal = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        refusals: dict[str, int] = {}
        try:
            model = find_model(id)
        except AdvisorError as error:
            return Needs(minimum, spread, reserved, least, share, phase, refusal * 0, (str(error),))
        for k, (group, device) in enumerate(self.kinds.examples):
            context, context_sd = context_of(group, device)
            for q, question in enumerate(self.questions):
                if self.families[q] != group:
                    continue
                try:
                    made = self.estimate(model, q, device)
                except AdvisorError as error:
                    refusal[q, k] = refusals.setdefault(str(error), len(refusals))
                    continue
                minimum[q, k] = made.minimum_mean - context
                spread[q, k] = max(0.0, made.minimum_sd**2 - context_sd**2) ** 0.5
                reserved[q, k] = made.peak.reserved_bytes.mid
                pressed = question.workload.trains
                least[q, k] = made.peak.allocated_bytes.mid * (1 + FIXED_SHARE) if pressed else np.inf
                if isinstance(made, Estimate) and made.share_bytes is not None:
                    share[q, k] = made.share_bytes
                phase[q, k] = PHASES.index(made.peak.phase)
        return Needs(minimum, spread, reserved, least, share, phase, refusal, tuple(refusals))

    def estimate(self, model: ModelSpec, number: int, device: Device) -> Numbers | Estimate:
        """The first of the options that a check would show: as stored where that is said, else the most exact.

        Raises:
            BadInput, NotModelled: there is no answer.
        """
        workload = self.questions[number].workload
        if workload.trains:
            return training_numbers(model, workload, *self._fine_tune(model, number, device), device, NOMINAL)
        plan, habits = option(model, self.questions[number], device)
        return estimate(model, workload, plan, habits, device, NOMINAL).estimate

    def _fine_tune(self, model: ModelSpec, number: int, device: Device) -> tuple[Plan, Recipe]:
        """The plan with every choice made. It is the same for all models, and takes as long as an estimate."""
        key = (number, lacks_bf16(device))
        if key not in self._fine_tunes:
            plan, habits = option(model, self.questions[number], device)
            self._fine_tunes[key] = (resolved(self.questions[number].workload, plan, habits), habits)
        return self._fine_tunes[key]


def option(model: ModelSpec, question: Question, device: Device) -> tuple[Plan, Recipe]:
    """The first plan that ``check`` compares, and its recipe. Raises BadInput."""
    plan = question.plan
    if question.workload.trains and lacks_bf16(device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    return plans(model, question.workload, plan, plan.quantization, device)[0][1], recipe(plan.recipe)
