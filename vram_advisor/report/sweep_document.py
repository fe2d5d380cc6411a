"""The JSON of ``sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION

if TYPE_CHECKING:
    from vram_advisor.domain.sweep import Sweep, Swept


class SweepDocument(TypedDict):
    """What a sweep asked, and what was written."""

    schema_version: int
    file: str | None
    """Null with --dry-run, which writes nothing."""
    rows: int
    """Answers: models x gpus x plans."""
    models: int
    gpus: int
    plans: int
    outcomes: dict[str, int]
    """Answers of each verdict; empty with --dry-run."""
    resumed_models: int
    """Models whose answers were there from an earlier run."""
    seconds: float


def sweep_document(asked: Sweep, done: Swept | None) -> SweepDocument:
    """A sweep as a plain dictionary; None: it was only counted."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": None if done is None else done.file,
        "rows": asked.rows if done is None else done.rows,
        "models": len(asked.models),
        "gpus": len(asked.cards),
        "plans": len(asked.questions),
        "outcomes": {} if done is None else {name: count for name, count in done.outcomes if count},
        "resumed_models": 0 if done is None else done.progress.resumed,
        "seconds": 0.0 if done is None else round(done.progress.seconds, 3),
    }
