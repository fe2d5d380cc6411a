"""The JSON of ``advise``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.estimate import Outcome, Phase
from vram_advisor.report.imported_document import ImportedDocument, imported_document
from vram_advisor.report.job_document import JobDocument, SpeedDocument, job_document, speed_document

if TYPE_CHECKING:
    from vram_advisor.domain.advice import Advice, AdviceAnswer, Move
    from vram_advisor.domain.imported import Imported
    from vram_advisor.domain.served import ServedResult


class ChangeDocument(TypedDict):
    """One field with a new value."""

    field: str
    before: Any
    after: Any


class MoveDocument(TypedDict):
    """One lever pulled."""

    lever: str
    title: str
    changes: list[ChangeDocument]
    tier: str
    """same result, same model, or another."""
    cost: str
    needs: str


class AdviceVerdictDocument(TypedDict):
    """Whether a plan fits."""

    outcome: Outcome
    probability: float | None
    free_bytes: int | None
    headroom_bytes: int | None
    reason: str


class OneAdviceDocument(TypedDict):
    """Moves that were estimated together."""

    moves: list[MoveDocument]
    reasons: list[str]
    model: str
    workload: dict[str, Any]
    plan: dict[str, Any]
    """What is to be asked: options that were not named stay null."""
    verdict: AdviceVerdictDocument
    minimum_bytes: int
    allocated_bytes: int
    saved_bytes: int
    """Of the minimum to run."""
    relative_time: float
    """Time for the same work; 1: as before."""
    quality: float
    """What the result loses; halving the rank is 1."""
    peak_before: Phase
    peak_after: Phase
    then: list[str]
    speed: SpeedDocument | None
    """Null where the catalogue lacks the rates of the card."""


class BoundDocument(TypedDict):
    """How far one field goes on the card."""

    field: str
    asked: int
    largest: int
    next_step: str


class ServingWayDocument(TypedDict):
    """One way to run the result of a fine-tune."""

    program: str
    merged: bool
    stored: str
    need_bytes: int | None
    outcome: Outcome | None
    commands: list[str]


class ServedDocument(TypedDict):
    """How the result of a fine-tune is run."""

    context_length: int
    adapter_bytes: int | None
    merged_bytes: int
    ways: list[ServingWayDocument]
    notes: list[str]


class AdviceDocument(TypedDict):
    """What ``advise`` answers."""

    schema_version: int
    model: str
    gpu: str | None
    workload: dict[str, Any]
    plan: dict[str, Any]
    """With every choice made."""
    minimum_bytes: int
    verdict: AdviceVerdictDocument
    advices: list[OneAdviceDocument]
    front: list[OneAdviceDocument]
    bounds: list[BoundDocument]
    plans_estimated: int
    speed: SpeedDocument | None
    """Of the plan as asked."""
    calibration: str | None
    """Id of the calibration that corrects the figures."""
    job: JobDocument | None
    """On the dataset that was given."""
    serving: ServedDocument | None
    """Null without --explain, and where nothing is trained."""
    imported: ImportedDocument | None
    """What --config read; null without it."""
    notes: list[str]


def advice_document(
    answer: AdviceAnswer, served: ServedResult | None = None, imported: Imported | None = None
) -> AdviceDocument:
    """Advice as a plain dictionary, with how the result is run and what was read of a file, where that is known."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": answer.model.id,
        "gpu": answer.device.name if answer.device else None,
        "workload": dict(vars(answer.workload)),
        "plan": dict(vars(answer.asked.plan)),
        "minimum_bytes": int(answer.asked.estimate.minimum_mean),
        "verdict": _verdict(answer.asked),
        "advices": [one_advice(advice) for advice in answer.advices],
        "front": [one_advice(advice) for advice in answer.front],
        "bounds": [
            {"field": b.field, "asked": b.asked, "largest": b.largest, "next_step": b.next_step} for b in answer.bounds
        ],
        "plans_estimated": answer.looked_at,
        "speed": speed_document(answer.speed),
        "calibration": answer.calibration.id if answer.calibration else None,
        "job": job_document(answer.job),
        "serving": None if served is None else _served(served),
        "imported": imported_document(imported),
        "notes": list(answer.notes),
    }


def one_advice(advice: Advice) -> OneAdviceDocument:
    """One piece of advice as a plain dictionary."""
    return {
        "moves": [_move(move) for move in advice.moves],
        "reasons": list(advice.reasons),
        "model": advice.model.id,
        "workload": dict(vars(advice.workload)),
        "plan": dict(vars(advice.asked)),
        "verdict": _verdict(advice),
        "minimum_bytes": int(advice.estimate.minimum_mean),
        "allocated_bytes": advice.estimate.peak.allocated_bytes.mid,
        "saved_bytes": advice.saved_bytes,
        "relative_time": round(advice.relative_time, 4),
        "quality": advice.quality,
        "peak_before": advice.peak_before,
        "peak_after": advice.peak_after,
        "then": list(advice.then),
        "speed": speed_document(advice.speed),
    }


def _served(served: ServedResult) -> ServedDocument:
    return {
        "context_length": served.context_length,
        "adapter_bytes": served.adapter_bytes,
        "merged_bytes": served.merged_bytes,
        "ways": [
            {
                "program": way.program,
                "merged": way.merged,
                "stored": way.stored,
                "need_bytes": way.need_bytes,
                "outcome": way.verdict.outcome if way.verdict else None,
                "commands": list(way.commands),
            }
            for way in served.ways
        ],
        "notes": list(served.notes),
    }


def _verdict(judged: Any) -> AdviceVerdictDocument:
    verdict = judged.verdict
    odds = verdict.probability
    return {
        "outcome": verdict.outcome,
        "probability": None if odds is None else round(odds, 6),
        "free_bytes": verdict.free_bytes,
        "headroom_bytes": verdict.headroom_bytes,
        "reason": verdict.reason,
    }


def _move(move: Move) -> MoveDocument:
    return {
        "lever": move.lever,
        "title": move.title,
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in move.changes],
        "tier": move.tier,
        "cost": move.cost,
        "needs": move.needs,
    }
