"""The JSON of ``models --local``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.estimate import Outcome

if TYPE_CHECKING:
    from vram_advisor.domain.local_model import LocalAnswer, LocalFit


class LocalModelDocument(TypedDict):
    """One model on disk."""

    name: str
    store: str
    path: str
    format: str
    size_bytes: int
    file_type: str | None
    architecture: str | None
    context_length: int | None
    """What the model was trained for [tokens]."""
    projector: str | None
    adapters: list[str]
    also: list[str]
    parameters: int | None
    need_bytes: int | None
    outcome: Outcome | None
    """Null where there is no card, or no estimate."""
    probability: float | None
    longest_context: int | None
    """That fits the card [tokens]; 0: none does."""
    refused: str | None


class BrokenModelDocument(TypedDict):
    """An entry of a store that cannot be used."""

    name: str
    store: str
    path: str
    reason: str


class LoadedModelDocument(TypedDict):
    """One model in memory."""

    name: str
    path: str | None
    context_length: int | None
    slots: int | None
    reported_bytes: int | None
    """By the program: size_vram of Ollama."""
    predicted_bytes: int | None
    predicted_process_bytes: int | None
    measured_bytes: int | None
    """By the driver."""


class RunningProgramDocument(TypedDict):
    """A program that answered."""

    program: str
    address: str
    version: str | None
    loaded: list[LoadedModelDocument]


class LocalDocument(TypedDict):
    """What ``models --local`` answers."""

    schema_version: int
    gpu: str | None
    free_bytes: int | None
    context_length: int
    models: list[LocalModelDocument]
    broken: list[BrokenModelDocument]
    programs: list[RunningProgramDocument]
    calibration: str | None
    """Id of what corrects the needs; null: nominal coefficients."""


def local_document(answer: LocalAnswer) -> LocalDocument:
    """What is on this machine as a plain dictionary."""
    device = answer.device
    return {
        "schema_version": SCHEMA_VERSION,
        "gpu": device.name if device else None,
        "free_bytes": device.free_bytes if device else None,
        "context_length": answer.context_length,
        "models": [_model(each) for each in answer.models],
        "broken": [
            {"name": each.name, "store": each.store, "path": each.path, "reason": each.reason} for each in answer.broken
        ],
        "programs": [_program(asdict(each)) for each in answer.programs],
        "calibration": answer.calibration.id if answer.calibration else None,
    }


def _program(fields: dict[str, Any]) -> RunningProgramDocument:
    return {
        "program": fields["program"],
        "address": fields["address"],
        "version": fields["version"],
        "loaded": list(fields["loaded"]),
    }


def _model(each: LocalFit) -> LocalModelDocument:
    model, verdict = each.model, each.verdict
    odds = verdict.probability if verdict else None
    return {
        "name": model.name,
        "store": model.store,
        "path": model.path,
        "format": model.format,
        "size_bytes": model.size_bytes,
        "file_type": model.file_type,
        "architecture": model.architecture,
        "context_length": model.context_length,
        "projector": model.projector,
        "adapters": list(model.adapters),
        "also": list(model.also),
        "parameters": each.parameters,
        "need_bytes": each.need_bytes,
        "outcome": verdict.outcome if verdict else None,
        "probability": None if odds is None else round(odds, 6),
        "longest_context": each.longest_context,
        "refused": each.refused,
    }
