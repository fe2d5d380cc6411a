"""The JSON of speed and of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from vram_advisor.report.choices_document import SpanDocument, span_document

if TYPE_CHECKING:
    from vram_advisor.domain.job import PlannedJob
    from vram_advisor.domain.throughput import Speed


class SpeedDocument(TypedDict):
    """How fast a plan is: 90 % intervals."""

    seconds_per_step: SpanDocument
    """Of an optimizer step; of one token at inference."""
    tokens_per_second: SpanDocument
    """Over all GPUs and sequences."""
    limit: str
    """What takes longest: compute, bandwidth, launch, interconnect, pcie, host."""


class PercentileDocument(TypedDict):
    """A length that so many per cent of the examples do not exceed."""

    percent: int
    length: int


class LengthsDocument(TypedDict):
    """Lengths of the examples [tokens]."""

    examples: int
    tokens: int
    percentiles: list[PercentileDocument]
    longest: int
    longest_index: int
    """Counted from 0."""
    cut: int
    """Examples that are cut to the sequence length."""


class JobDocument(TypedDict):
    """A fine-tune on a dataset."""

    plan: str
    """As asked, or the moves of the first advice."""
    dataset: str | None
    epochs: float
    packing: bool
    counted: str
    share_read: float
    sequence_length: int
    lengths: LengthsDocument | None
    steps: int
    computed_tokens: int
    padding_share: float
    seconds: SpanDocument
    kwh: SpanDocument | None
    cost: SpanDocument | None
    currency: str | None


def speed_document(speed: Speed | None) -> SpeedDocument | None:
    """Speed as a plain dictionary; null where it is not known."""
    if speed is None:
        return None
    seconds, tokens = span_document(speed.seconds_per_step), span_document(speed.tokens_per_second)
    assert seconds is not None and tokens is not None
    return {"seconds_per_step": seconds, "tokens_per_second": tokens, "limit": speed.limit}


def job_document(planned: PlannedJob | None) -> JobDocument | None:
    """A job as a plain dictionary; null where there is none."""
    if planned is None:
        return None
    job, lengths = planned.job, planned.job.lengths
    seconds = span_document(job.seconds)
    assert seconds is not None
    return {
        "plan": planned.plan,
        "dataset": planned.asked.dataset,
        "epochs": planned.asked.epochs,
        "packing": planned.asked.packing,
        "counted": planned.counted,
        "share_read": round(planned.share, 6),
        "sequence_length": planned.sequence_length,
        "lengths": None
        if lengths is None
        else {
            "examples": lengths.examples,
            "tokens": lengths.tokens,
            "percentiles": [{"percent": p, "length": length} for p, length in lengths.percentiles],
            "longest": lengths.longest,
            "longest_index": lengths.longest_index,
            "cut": lengths.cut,
        },
        "steps": job.steps,
        "computed_tokens": job.computed_tokens,
        "padding_share": round(job.padding_share, 6),
        "seconds": seconds,
        "kwh": span_document(job.kwh),
        "cost": span_document(job.cost),
        "currency": job.currency,
    }
