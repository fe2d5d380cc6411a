"""Answers as plain dictionaries: the JSON of every command. The shapes are declared in ``document_types.py``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from vram_advisor.domain.answer import SCHEMA_VERSION, Answer, AppliedCalibration, Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vram_advisor.accuracy.metrics import Figures
    from vram_advisor.accuracy.score import Report
    from vram_advisor.domain.advice import Advice
    from vram_advisor.domain.estimate import Component, Interval
    from vram_advisor.domain.gpu import Device, GpuSpec, Machine
    from vram_advisor.domain.imported import Imported
    from vram_advisor.report import calibration_types
    from vram_advisor.report import document_types as types
    from vram_advisor.report.advice_document import OneAdviceDocument
    from vram_advisor.report.choices import Choice
    from vram_advisor.report.imported_document import ImportedDocument
    from vram_advisor.sources.catalog_models import ModelRecord

POSITION_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
"""What configurations call the longest sequence they were made for."""
PROBABILITY_DIGITS = 6
"""Digits after the point; more would be noise of the arithmetic."""


def answer_document(answer: Answer, imported: Imported | None = None) -> types.AnswerDocument:
    """What ``check`` answers, and what it read of another program's file."""
    calibration = answer.calibration
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {
            "id": answer.model.id,
            "parameters": answer.parameters,
            "active_parameters": answer.active_parameters,
            "source": answer.model.source,
        },
        "workload": dict(vars(answer.workload)),
        "device": None if answer.device is None else _device(answer.device),
        "calibration": None if calibration is None else _calibration(calibration),
        "options": [_option(option) for option in answer.options],
        "recommended": answer.recommended,
        "smallest_gpus": [
            {
                "option": gpu.option,
                "id": gpu.id,
                "name": gpu.name,
                "total_bytes": gpu.total_bytes,
                "probability": round(gpu.probability, PROBABILITY_DIGITS),
            }
            for gpu in answer.smallest_gpus
        ],
        "advices": [_advice(advice) for advice in answer.advices],
        "download": None
        if answer.download is None
        else {
            "name": answer.download.name,
            "size_bytes": answer.download.nbytes,
            "present": answer.download.present,
        },
        "imported": None if imported is None else _imported(imported),
        "assumptions": list(answer.assumptions),
        "warnings": list(answer.warnings),
    }


def _imported(imported: Imported) -> ImportedDocument | None:
    # Shapes of files are imported where there is one.
    from vram_advisor.report.imported_document import imported_document

    return imported_document(imported)


def _advice(advice: Advice) -> OneAdviceDocument:
    # Shapes of advice are imported where there is any.
    from vram_advisor.report.advice_document import one_advice

    return one_advice(advice)


def machine_document(machine: Machine) -> dict[str, Any]:
    """What ``detect`` found."""
    return {"schema_version": SCHEMA_VERSION, **asdict(machine)}


def gpus_document(gpus: Iterable[GpuSpec]) -> dict[str, Any]:
    """Cards of the catalogue."""
    return {"schema_version": SCHEMA_VERSION, "gpus": [asdict(gpu) for gpu in gpus]}


def models_document(records: Iterable[ModelRecord]) -> types.ModelsDocument:
    """Models of the catalogue."""
    return {"schema_version": SCHEMA_VERSION, "models": [_model(record) for record in records]}


def values_document(option: str, rows: Iterable[Choice]) -> types.ValuesDocument:
    """Values of an option."""
    return {
        "schema_version": SCHEMA_VERSION,
        "option": option,
        "values": [
            {"name": row.name, "title": row.title, "evidence": row.evidence, "source": row.source} for row in rows
        ],
    }


def report_document(text: str) -> types.ReportDocument:
    """What a bug report needs."""
    return {"schema_version": SCHEMA_VERSION, "report": text.splitlines()}


def accuracy_document(report: Report) -> types.AccuracyDocument:
    """How well ledgers of measurements are predicted."""
    return {
        "schema_version": SCHEMA_VERSION,
        "groups": [
            {
                "source": group.source,
                "method": group.method,
                "meter": group.meter,
                "quality": group.quality,
                **_figures(group.figures),
            }
            for group in report.groups
        ],
        "macro": [
            {"meter": macro.meter, "sources": macro.sources, **_figures(macro.figures)} for macro in report.macro
        ],
        "programs": [
            {"program": each.program, "meter": each.meter, **_figures(each.figures)} for each in report.programs
        ],
        "refused": [{"id": refusal.id, "reason": refusal.reason} for refusal in report.refused],
        "unmetered": list(report.unmetered),
    }


def _calibration(applied: AppliedCalibration) -> calibration_types.AppliedCalibrationDocument:
    return {
        "id": applied.id,
        "created": applied.created,
        "kinship": applied.kinship,
        "differs": list(applied.differs),
        "key": cast("calibration_types.CalibrationKeyDocument", asdict(applied.key)),
        "learnt": [cast("calibration_types.LearntDocument", asdict(row)) for row in applied.learnt],
    }


def _device(device: Device) -> types.DeviceDocument:
    return {
        "name": device.name,
        "count": device.count,
        "source": device.source,
        "total_bytes": device.total_bytes,
        "free_bytes": device.free_bytes,
        "processes": [
            {"pid": process.pid, "name": process.name, "used_bytes": process.used_bytes} for process in device.processes
        ],
    }


def _option(option: Option) -> types.OptionDocument:
    estimate, recipe, verdict = option.estimate, option.recipe, option.verdict
    peak, adapter, odds = estimate.peak, estimate.adapter, verdict.probability
    return {
        "title": option.title,
        "plan": dict(vars(option.plan)),
        "recipe": {
            "name": recipe.name,
            "title": recipe.title,
            "versions": recipe.versions,
            "evidence": recipe.evidence,
            "source": recipe.source,
        },
        "peak": {
            "phase": peak.phase,
            "allocated_bytes": _interval(peak.allocated_bytes),
            "reserved_bytes": _interval(peak.reserved_bytes),
            "process_bytes": _interval(peak.process_bytes),
            "minimum_bytes": _interval(peak.minimum_bytes),
        },
        "phases": [{"phase": phase.phase, "allocated_bytes": phase.allocated_bytes} for phase in estimate.phases],
        "components": [_component(component) for component in estimate.components],
        "host_bytes": estimate.host_bytes,
        "adapter": None
        if adapter is None
        else {
            "trainable_parameters": adapter.trainable_parameters,
            "trainable_share": adapter.trainable_share,
            "file_bytes": adapter.file_bytes,
        },
        "verdict": {
            "outcome": verdict.outcome,
            "probability": None if odds is None else round(odds, PROBABILITY_DIGITS),
            "free_bytes": verdict.free_bytes,
            "headroom_bytes": verdict.headroom_bytes,
            "reason": verdict.reason,
        },
    }


def _component(component: Component) -> types.ComponentDocument:
    return {
        "kind": component.kind,
        "label": component.label,
        "bytes": _interval(component.bytes),
        "alive": list(component.alive),
        "formula": component.formula,
        "reference": component.reference,
    }


def _interval(interval: Interval) -> types.IntervalDocument:
    return {"low": interval.low, "mid": interval.mid, "high": interval.high}


def _figures(figures: Figures) -> types.FiguresDocument:
    return {
        "rows": figures.rows,
        "median_abs_error": figures.median_abs_error,
        "p90_abs_error": figures.p90_abs_error,
        "bias": figures.bias,
        "under_10": figures.under_10,
        "coverage_90": figures.coverage_90,
    }


def _model(record: ModelRecord) -> types.CatalogueModelDocument:
    positions = next((record.config[key] for key in POSITION_KEYS if key in record.config), None)
    return {
        "id": record.id,
        "aliases": list(record.aliases),
        "hf_repo": record.hf_repo,
        "family": record.family,
        "architecture": str(record.config["model_type"]),
        "parameters": record.parameters.total,
        "active_parameters": record.parameters.active,
        "published_parameters": record.parameters.published,
        "match": record.parameters.match,
        "native_dtype": record.native_dtype,
        "context_length": positions if isinstance(positions, int) else None,
        "release_date": record.release_date,
        "licence": record.licence,
        "sources": list(record.sources),
        "checked": record.checked.isoformat(),
    }
