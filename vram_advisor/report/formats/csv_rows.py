"""CSV: one row for each option and component, with the figures of the JSON (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vram_advisor.report.document import answer_document

if TYPE_CHECKING:
    from vram_advisor.domain.answer import Answer
    from vram_advisor.report.document_types import AnswerDocument, OptionDocument

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins with one of these is run by spreadsheets as a formula."""
SIZES = ("allocated_bytes", "reserved_bytes", "process_bytes", "minimum_bytes")
ENDS = ("low", "mid", "high")


def answer_csv(answer: Answer) -> str:
    """The answer of ``check``."""
    document = answer_document(answer)
    return csv_text(
        {**_asked(document), **_option(document, index, option), **_component(option, place)}
        for index, option in enumerate(document["options"])
        for place in range(len(option["components"]))
    )


def rows_of(document: Mapping[str, Any], key: str, spans: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The records of a list in a document, each with the plain values that stand beside the list.

    Args:
        document: what the command prints with --json.
        key: of the list.
        spans: fields that are an interval or nothing.
    """
    beside = {k: v for k, v in document.items() if k != "schema_version" and not isinstance(v, dict | list)}
    return [{**beside, **_flat(record, tuple(spans))} for record in document[key]]


def csv_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows with the same keys under a line of headings."""
    found = list(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if found:
        writer.writerow(found[0])
    writer.writerows([cell(value) for value in row.values()] for row in found)
    return text.getvalue()


def cell(value: Any) -> str | int | float:
    """A value in one cell: nothing for None, true and false as JSON has them, the parts of a list with semicolons between them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _flat(record: Mapping[str, Any], spans: tuple[str, ...]) -> dict[str, Any]:
    """Values of values under joined names."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if name in spans:
            found.update({f"{name}_{end}": value and value[end] for end in ENDS})
        elif isinstance(value, dict):
            found.update({f"{name}_{inner}": each for inner, each in value.items()})
        else:
            found[name] = value
    return found


def _asked(document: AnswerDocument) -> dict[str, Any]:
    device, calibration = document["device"], document["calibration"]
    return {
        "model": document["model"]["id"],
        "parameters": document["model"]["parameters"],
        "method": document["workload"]["method"],
        "gpu": device and device["name"],
        "gpu_count": device and device["count"],
        "gpu_total_bytes": device and device["total_bytes"],
        "gpu_free_bytes": device and device["free_bytes"],
        "calibration": calibration and calibration["id"],
    }


def _option(document: AnswerDocument, index: int, option: OptionDocument) -> dict[str, Any]:
    peak, verdict = option["peak"], option["verdict"]
    sizes: dict[str, Any] = {name: value for name, value in peak.items() if name in SIZES}
    figures = {
        f"{name.removesuffix('_bytes')}_{end}_bytes": interval[end] for name, interval in sizes.items() for end in ENDS
    }
    return {
        "option": option["title"],
        "recommended": index == document["recommended"],
        "quantization": option["plan"]["quantization"],
        "recipe": option["recipe"]["name"],
        "outcome": verdict["outcome"],
        "probability": verdict["probability"],
        "headroom_bytes": verdict["headroom_bytes"],
        "peak_phase": peak["phase"],
        **figures,
        "host_bytes": option["host_bytes"],
    }


def _component(option: OptionDocument, place: int) -> dict[str, Any]:
    component = option["components"][place]
    return {
        "kind": component["kind"],
        "component": component["label"],
        "component_low_bytes": component["bytes"]["low"],
        "component_mid_bytes": component["bytes"]["mid"],
        "component_high_bytes": component["bytes"]["high"],
        "alive": component["alive"],
        "alive_at_peak": option["peak"]["phase"] in component["alive"],
        "formula": component["formula"],
        "reference": component["reference"],
    }
