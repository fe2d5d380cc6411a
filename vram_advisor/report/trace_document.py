"""The JSON of ``trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.report.imported_document import ImportedDocument, imported_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vram_advisor.domain.imported import Imported
    from vram_advisor.domain.trace import Compared, TraceAnswer


class TracedPhaseDocument(TypedDict):
    """The largest moment of one phase."""

    phase: str
    allocated_bytes: int
    by_category_bytes: dict[str, int]


class ComparedDocument(TypedDict):
    """One part or phase, by the closed form and by the trace."""

    name: str
    formula_bytes: int
    trace_bytes: int


class TraceDocument(TypedDict):
    """What ``trace`` answers."""

    schema_version: int
    model: str
    source: str
    recipe: str
    workload: dict[str, object]
    plan: dict[str, object]
    peak_phase: str
    allocated_bytes: int
    resident_bytes: int
    reserved_bytes: int | None
    """By a simulated caching allocator; null where only two depths were run."""
    phases: list[TracedPhaseDocument]
    depths: list[int]
    device: str
    seconds: float
    host_bytes: int
    versions: dict[str, str]
    notes: list[str]
    imported: ImportedDocument | None
    """What --config read; null without it."""
    formula_refused: str | None
    """Why the closed form has no answer; null where it has one."""
    compared_phases: list[ComparedDocument]
    compared_components: list[ComparedDocument]


def trace_document(answer: TraceAnswer, imported: Imported | None = None) -> TraceDocument:
    """A trace as a plain dictionary, with what was read of another program's file."""
    trace = answer.trace
    return {
        "schema_version": SCHEMA_VERSION,
        "model": answer.model,
        "source": answer.source,
        "recipe": answer.recipe.name,
        "workload": dict(vars(answer.workload)),
        "plan": dict(vars(answer.plan)),
        "peak_phase": trace.peak.phase,
        "allocated_bytes": trace.peak.allocated_bytes,
        "resident_bytes": trace.resident_bytes,
        "reserved_bytes": trace.reserved_bytes,
        "phases": [
            {
                "phase": phase.phase,
                "allocated_bytes": phase.allocated_bytes,
                "by_category_bytes": dict(phase.by_category),
            }
            for phase in trace.phases
        ],
        "depths": list(trace.depths),
        "device": trace.device,
        "seconds": round(trace.seconds, 3),
        "host_bytes": trace.host_bytes,
        "versions": dict(trace.versions),
        "notes": list(trace.notes),
        "imported": imported_document(imported),
        "formula_refused": answer.refused,
        "compared_phases": _compared(answer.phases),
        "compared_components": _compared(answer.components),
    }


def _compared(rows: Sequence[Compared]) -> list[ComparedDocument]:
    return [{"name": row.name, "formula_bytes": row.formula_bytes, "trace_bytes": row.trace_bytes} for row in rows]
