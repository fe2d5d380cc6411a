"""The JSON Schemas of what the program prints and of what it may be asked, derived from the types themselves."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import is_typeddict

from vram_advisor.domain.calibration import Calibration, CalibrationKey, Learnt
from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot, GpuSpec, HostSnapshot, Machine
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.trial import Environment, Measurement, Trial
from vram_advisor.report import (
    advice_document,
    calibration_document,
    calibration_types,
    choices_document,
    document_types,
    imported_document,
    job_document,
    local_document,
    sweep_document,
    trace_document,
)
from vram_advisor.report.choices import TABLES, names
from vram_advisor.units.errors import BadInput

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXACT = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Published:
    """One schema."""

    summary: str
    shape: Any
    """The type that it describes."""


DOCUMENTS: dict[str, Published] = {
    "check": Published("the answer of check --json", document_types.AnswerDocument),
    "advise": Published("the answer of advise --json", advice_document.AdviceDocument),
    "trace": Published("the trace of trace --json", trace_document.TraceDocument),
    "detect": Published("the machine of detect --json", Machine),
    "report": Published("the text of detect --report --json", document_types.ReportDocument),
    "gpus": Published("the cards of gpus --json", list[GpuSpec]),
    "models": Published("the models of models --json", document_types.ModelsDocument),
    "local": Published("the models of models --local --json", local_document.LocalDocument),
    "fit": Published("the models of models --fit --json", choices_document.FittingDocument),
    "for": Published("the cards of gpus --for --json", choices_document.RankingDocument),
    "calibrations": Published("the list of calibrations --json", calibration_types.CalibrationsDocument),
    "calibration": Published("one of calibrations show --json", Calibration),
    "removed": Published("what calibrations remove --json took away", calibration_types.RemovedDocument),
    "exported": Published("what calibrations export --json wrote", calibration_types.ExportedDocument),
    "imported": Published("what calibrations import --json kept", calibration_types.ImportedCalibrationDocument),
    "planned": Published("the first line of calibrate --json", calibration_document.PlannedDocument),
    "progress": Published("the lines of calibrate --json while it runs", calibration_document.ProgressDocument),
    "calibrated": Published("the last line of calibrate --json", calibration_document.CalibratedDocument),
    "accuracy": Published("the scores of accuracy --json", document_types.AccuracyDocument),
    "sweep": Published("what sweep --json wrote", sweep_document.SweepDocument),
    "values": Published("the values of schema OPTION --json", document_types.ValuesDocument),
    "workload": Published("what is asked: options of check", Workload),
    "plan": Published("the levers: options of check", Plan),
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of this name.

    Raises:
        BadInput: there is no such schema.
    """
    if name not in DOCUMENTS:
        raise BadInput(f"There is no schema '{name}': use one of {', '.join(DOCUMENTS)}.")
    _be_exact()
    shape = DOCUMENTS[name].shape
    found = _of_record(shape) if shape in (Workload, Plan) else TypeAdapter(shape).json_schema(mode="serialization")
    if name == "check":
        found = _with_records(found)
    if name in ("detect", "gpus", "calibration"):
        found = _enveloped(found, "gpus" if name == "gpus" else None)
    return {"$schema": DIALECT, **found}


def _be_exact() -> None:
    """Refuse unknown keys and carry the docstrings of fields as descriptions, in every shape."""
    homes = (
        document_types,
        advice_document,
        calibration_document,
        calibration_types,
        choices_document,
        imported_document,
        job_document,
        local_document,
        sweep_document,
        trace_document,
    )
    declared = [v for home in homes for v in vars(home).values() if isinstance(v, type) and is_typeddict(v)]
    machine = (GpuProcess, GpuSnapshot, GpuSpec, HostSnapshot, Machine)
    calibration = (Calibration, CalibrationKey, Learnt, Measurement, Trial, Environment)
    for shape in (*declared, Workload, Plan, *machine, *calibration):
        with_config(EXACT)(shape)


def _with_records(found: dict[str, Any]) -> dict[str, Any]:
    """The answer with the records of workload and plan in place of plain objects."""
    defs = found["$defs"]
    for place, record in ((found, Workload), (defs["OptionDocument"], Plan)):
        field = record.__name__.lower()
        place["properties"][field] = {"$ref": f"#/$defs/{record.__name__}"}
        defs[record.__name__] = _of_record(record)
    return found


def _of_record(record: type) -> dict[str, Any]:
    """The schema of a record, with the bounds of its fields and, as examples, the rows of tables."""
    found = TypeAdapter(record).json_schema(mode="serialization")
    for field in fields(record):
        described = found["properties"][field.name]
        number = next((each for each in described.get("anyOf", ()) if each["type"] != "null"), described)
        number.update(field.metadata)
        if field.name in TABLES:
            described["examples"] = names(field.name)
    return found


def arguments(*records: type) -> dict[str, Any]:
    """The JSON Schema of an object that holds the fields of records side by side, each with its bounds and docstring."""
    _be_exact()
    properties: dict[str, Any] = {}
    required: list[str] = []
    for record in records:
        with_config(EXACT)(record)
        found = _of_record(record)
        properties |= found["properties"]
        required += found.get("required", ())
    for described in properties.values():
        # The name says the same.
        del described["title"]
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _enveloped(found: dict[str, Any], key: str | None) -> dict[str, Any]:
    """The schema with ``schema_version`` on top; a list goes under its key."""
    defs = found.pop("$defs", {})
    version = {"title": "Schema Version", "type": "integer"}
    properties = {"schema_version": version, **(found["properties"] if key is None else {key: found})}
    return {
        "title": found["title"] if key is None else key.title(),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": defs,
    }
