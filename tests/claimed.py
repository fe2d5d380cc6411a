"""Whether advice keeps what it claims: asked for as it says, it has the same memory and the same verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vram_advisor import api
from vram_advisor.domain.advice import Advice
from vram_advisor.domain.answer import Answer
from vram_advisor.units.errors import AdvisorError

GPUS = (
    "rtx-3060-12gb", "rtx-4060", "rtx-5070", "rtx-5080", "rtx-3090", "rtx-4090", "rtx-5090", "a100-pcie-40gb", "l40s",
    "h100-sxm", "t4", "rtx-pro-6000-blackwell",
)  # fmt: skip
METHODS = ("lora", "qlora", "full", "inference")


@dataclass(frozen=True, slots=True)
class Question:
    """A model of the catalogue, a card, a method; all else as it is without options."""

    model: str
    gpu: str
    method: str


def broken(question: Question, advice: Advice) -> str | None:
    """What an advice claims and does not keep, in words; None: it keeps everything.

    It is asked for in the two ways that a person has: by the plan that it carries, and by its changes as options on top of
    the question.
    """
    asked: dict[str, Any] = {"method": question.method}
    asked |= {change.field: change.after for move in advice.moves for change in move.changes}
    model = asked.pop("model", question.model)
    try:
        ways = {
            "by its plan": api.check(advice.model, gpu=question.gpu, workload=advice.workload, plan=advice.asked),
            "by its changes": api.check(model, gpu=question.gpu, **asked),
        }
    except AdvisorError as error:
        return f"{question}: {_titles(advice)}: {error}"
    for way, answer in ways.items():
        if not _as_claimed(advice, answer):
            needs = ", ".join(f"{o.estimate.minimum_mean:,.0f} B ({o.verdict.outcome})" for o in answer.options)
            claimed = f"{advice.estimate.minimum_mean:,.0f} B ({advice.verdict.outcome})"
            return f"{question}: {_titles(advice)}: claimed {claimed}, asked for {way} {needs}"
    return None


def _as_claimed(advice: Advice, answer: Answer) -> bool:
    """Whether one of the options has the memory, the verdict and the moment of the peak to the last bit."""
    claimed = (advice.estimate.minimum_mean, advice.verdict.outcome, advice.verdict.probability, advice.peak_after)
    return any(
        (o.estimate.minimum_mean, o.verdict.outcome, o.verdict.probability, o.estimate.peak.phase) == claimed
        for o in answer.options
    )


def _titles(advice: Advice) -> str:
    return " + ".join(move.title for move in advice.moves)
