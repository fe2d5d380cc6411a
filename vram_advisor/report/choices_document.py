"""The JSON of ``models --fit`` and of ``gpus --for``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.estimate import Outcome

if TYPE_CHECKING:
    from vram_advisor.advice.cards import CardRanking, RankedCard
    from vram_advisor.advice.choices import FittingModels
    from vram_advisor.advice.precision import Needed
    from vram_advisor.domain.throughput import Span


class FittingModelDocument(TypedDict):
    """A model that fits."""

    id: str
    parameters: int
    title: str
    """What is stored how."""
    plan: dict[str, Any]
    need_bytes: int
    outcome: Outcome
    probability: float | None
    headroom_bytes: int | None
    longest: int
    """The longest sequence or context that fits [tokens]."""


class NeededDocument(TypedDict):
    """A model and its minimum to run."""

    id: str
    need_bytes: int


class PrecisionStepDocument(TypedDict):
    """The largest model that fits at one precision, and the next larger one."""

    title: str
    largest: NeededDocument | None
    next: NeededDocument | None


class FittingDocument(TypedDict):
    """What ``models --fit`` answers."""

    schema_version: int
    gpu: str
    count: int
    free_bytes: int
    workload: dict[str, Any]
    models: list[FittingModelDocument]
    steps: list[PrecisionStepDocument]
    looked_at: int
    calibration: str | None
    """Id of what corrects the figures; null: nominal coefficients."""


class SpanDocument(TypedDict):
    """A 90 % interval and its middle."""

    low: float
    mid: float
    high: float


class RankedCardDocument(TypedDict):
    """A card and how it does the job."""

    id: str
    name: str
    count: int
    total_bytes: int
    """Nominal memory of one."""
    need_bytes: int
    outcome: Outcome
    probability: float | None
    headroom_bytes: int | None
    tokens_per_second: SpanDocument | None
    times_as_fast: float | None
    power_w: float | None
    """Board power of all."""
    list_price_usd: float | None
    """At launch, of all; approximate."""
    list_price_source: str | None
    checked: str | None
    """When the row of the catalogue was."""
    more_memory_bytes: int | None
    """Beside the present card, all together."""
    more_power_w: float | None
    more_list_price_usd: float | None
    calibration: str | None
    """Id of what corrects the figures; null: nominal coefficients."""


class RankingDocument(TypedDict):
    """What ``gpus --for`` answers."""

    schema_version: int
    model: str
    title: str
    workload: dict[str, Any]
    plan: dict[str, Any]
    present: str | None
    present_card: RankedCardDocument | None
    """How the present card does the job; null where the catalogue does not have it."""
    cards: list[RankedCardDocument]


def fitting_document(answer: FittingModels) -> FittingDocument:
    """Models that fit as a plain dictionary."""
    return {
        "schema_version": SCHEMA_VERSION,
        "gpu": answer.device.name,
        "count": answer.device.count,
        "free_bytes": answer.device.free_bytes,
        "workload": dict(vars(answer.workload)),
        "models": [
            {
                "id": one.model.id,
                "parameters": one.parameters,
                "title": one.title,
                "plan": dict(vars(one.plan)),
                "need_bytes": one.need_bytes,
                "outcome": one.verdict.outcome,
                "probability": _rounded(one.verdict.probability),
                "headroom_bytes": one.verdict.headroom_bytes,
                "longest": one.longest,
            }
            for one in answer.models
        ],
        "steps": [
            {"title": step.title, "largest": _needed(step.largest), "next": _needed(step.next)} for step in answer.steps
        ],
        "looked_at": answer.looked_at,
        "calibration": answer.calibration.id if answer.calibration else None,
    }


def ranking_document(answer: CardRanking) -> RankingDocument:
    """Ranked cards as a plain dictionary."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": answer.model.id,
        "title": answer.title,
        "workload": dict(vars(answer.workload)),
        "plan": dict(vars(answer.plan)),
        "present": answer.present.name if answer.present else None,
        "present_card": _card(answer.now, answer.now) if answer.now else None,
        "cards": [_card(card, answer.now) for card in answer.cards],
    }


def span_document(span: Span | None) -> SpanDocument | None:
    """An interval with six significant digits; null where there is none."""
    if span is None:
        return None
    low, mid, high = (float(f"{float(value):.6g}") for value in (span.low, span.mid, span.high))
    return {"low": low, "mid": mid, "high": high}


def _needed(needed: Needed | None) -> NeededDocument | None:
    return None if needed is None else {"id": needed.model.id, "need_bytes": needed.need_bytes}


def _more(figure: float | None, present: float | None, count: int, present_count: int) -> float | None:
    """How much more than the present card; null where one of the two is not known."""
    return None if figure is None or present is None else figure * count - present * present_count


def _card(card: RankedCard, now: RankedCard | None) -> RankedCardDocument:
    spec = card.spec
    power = None if now is None else _more(spec.tdp_w, now.spec.tdp_w, card.count, now.count)
    price = None if now is None else _more(spec.msrp_usd, now.spec.msrp_usd, card.count, now.count)
    memory = None if now is None else spec.vram_bytes * card.count - now.spec.vram_bytes * now.count
    return {
        "id": spec.id,
        "name": spec.name,
        "count": card.count,
        "total_bytes": spec.vram_bytes,
        "need_bytes": card.need_bytes,
        "outcome": card.verdict.outcome,
        "probability": _rounded(card.verdict.probability),
        "headroom_bytes": card.verdict.headroom_bytes,
        "tokens_per_second": span_document(card.tokens_per_second),
        "times_as_fast": None if card.times_as_fast is None else round(card.times_as_fast, 4),
        "power_w": None if spec.tdp_w is None else spec.tdp_w * card.count,
        "list_price_usd": None if spec.msrp_usd is None else spec.msrp_usd * card.count,
        "list_price_source": spec.msrp_source,
        "checked": spec.checked,
        "more_memory_bytes": memory,
        "more_power_w": power,
        "more_list_price_usd": price,
        "calibration": card.calibration.id if card.calibration else None,
    }


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)
