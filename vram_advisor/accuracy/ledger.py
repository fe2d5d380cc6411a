"""Ledgers of measurements: which kind a file is, and what each row measured."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vram_advisor.units.errors import BadInput

Kind = Literal["training", "traces", "inference", "llamacpp_buffers", "throughput", "gguf_sizes"]
Row = Mapping[str, str]

MARKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("traces", ("peak_phase", "measured_bytes")),
    ("training", ("second_meter", "measured_bytes")),
    ("llamacpp_buffers", ("output_host_bytes", "weights_gpu_bytes")),
    ("inference", ("total_is", "weights_gpu_bytes")),
    ("throughput", ("tokens_per_s",)),
    ("gguf_sizes", ("file_bytes", "imatrix")),
)
"""Columns that tell the ledgers apart."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a row [B]."""

    meter: str
    measured: float
    resolution: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """A file of measurements."""

    path: Path
    kind: Kind
    rows: tuple[Row, ...]


def read_ledger(path: Path) -> Ledger:
    """Read a CSV of measurements.

    Raises:
        BadInput: the file is missing, is not CSV, or has the columns of no ledger.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            rows = tuple({k: v or "" for k, v in row.items() if k is not None} for row in reader)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: is not a CSV file ({error}).") from None
    for kind, marks in MARKS:
        if all(mark in columns for mark in marks):
            return Ledger(path, kind, rows)
    raise BadInput(f"{path}: has the columns of no ledger; one of training runs has id, model, method, meter, measured_bytes and so on.")


def number(text: str) -> float | None:
    """A number of a cell; None where it is empty."""
    return float(text) if text else None


def readings(kind: Kind, row: Row) -> tuple[Reading, ...]:
    """What a row measured; empty where the meter is not stated."""
    resolution = number(row.get("resolution_bytes", "")) or 1.0
    if kind in ("training", "traces"):
        pairs = [(row["meter"], row["measured_bytes"]), (row.get("second_meter", ""), row.get("second_measured_bytes", ""))]
        return tuple(Reading(m, float(v), resolution) for m, v in pairs if m and v and m != "reserved_p99")
    if kind == "gguf_sizes":
        return (Reading("file", float(row["file_bytes"]), resolution),)
    if kind == "throughput":
        return (Reading(row["test"], float(row["tokens_per_s"]), 0.0),)
    names = ("weights_gpu", "cache_gpu", "compute_gpu")
    found = [Reading(n, float(row[f"{n}_bytes"]), resolution) for n in names if number(row.get(f"{n}_bytes", ""))]
    if kind == "llamacpp_buffers":
        return (*found, Reading("total_gpu", sum(r.measured for r in found), resolution))
    total = number(row["total_bytes"])
    if total and row["total_is"]:
        found.append(Reading(row["total_is"], total, resolution))
    return tuple(found)
