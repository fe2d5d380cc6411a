"""Ledgers of measurements: which kind a file is, and what each row measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vram_advisor.sources.json_files import read_bytes
from vram_advisor.units.errors import BadInput

Kind = Literal["training", "traces", "inference", "llamacpp_buffers", "throughput", "gguf_sizes"]
Row = Mapping[str, str]

MARKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("traces", ("peak_phase", "measured_bytes")),
    ("training", ("second_meter", "measured_bytes")),
    ("llamacpp_buffers", ("output_host_bytes", "weights_gpu_bytes")),
    ("inference", ("total_is", "weights_gpu_bytes")),
    ("throughput", ("tokens_per_s", "test")),
    ("gguf_sizes", ("file_bytes", "imatrix")),
)
"""Columns that tell the ledgers apart."""
WHOLE = frozenset(
    (
        "lora_r",
        "micro_batch_size",
        "gradient_accumulation_steps",
        "sequence_length",
        "num_gpus",
        "context_length",
        "parallel",
        "prompt_tokens",
        "generated_tokens",
    )
)
"""Columns of whole numbers."""
LARGEST_FILE = 8 << 20
"""No ledger is longer [B]."""
LARGEST_NUMBER = 1e18
"""No column counts further."""


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


class _Cells(dict[str, str]):
    """Cells of a row by column; a column that the file does not have is empty."""

    def __missing__(self, column: str) -> str:
        return ""


def read_ledger(path: Path) -> Ledger:
    """Read a CSV of measurements.

    Raises:
        BadInput: the file is missing, too long, is not CSV, has the columns of no ledger, or words where numbers belong.
    """
    try:
        text = read_bytes(path, LARGEST_FILE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = tuple(reader.fieldnames or ())
        rows = tuple(_Cells({k: v for k, v in row.items() if k and v}) for row in reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: is not a CSV file ({error}).") from None
    for kind, marks in MARKS:
        if all(mark in columns for mark in ("id", "source", *marks)):
            for line, row in enumerate(rows, 2):
                _check(path, line, row)
            return Ledger(path, kind, rows)
    raise BadInput(
        f"{path}: has the columns of no ledger; one of training runs has id, model, method, meter, measured_bytes "
        "and so on."
    )


def _check(path: Path, line: int, row: Row) -> None:
    for column, text in row.items():
        if column in WHOLE or column.endswith("_bytes") or column in ("tokens_per_s", "lora_dropout"):
            try:
                good = 0 <= (int(text) if column in WHOLE else float(text)) < LARGEST_NUMBER
            except ValueError:
                good = False
            if not good:
                raise BadInput(f"{path}, line {line}: {column} is {text!r}, where a number belongs.")


WHOLE_MIB = 2.0 * 2**20
"""Of figures that are cut off to whole MiB: they may be one too low [B]."""


def number(text: str) -> float | None:
    """A number of a cell; None where it is empty."""
    return float(text) if text else None


def readings(kind: Kind, row: Row) -> tuple[Reading, ...]:
    """What a row measured; empty where the meter is not stated or nothing was measured."""
    resolution = number(row["resolution_bytes"]) or 1.0
    if kind in ("training", "traces"):
        pairs = [(row["meter"], row["measured_bytes"]), (row["second_meter"], row["second_measured_bytes"])]
        pairs = [(meter, value) for meter, value in pairs if meter != "reserved_p99"]
    elif kind == "gguf_sizes":
        pairs = [("file", row["file_bytes"])]
    elif kind == "throughput":
        pairs, resolution = [(row["test"], row["tokens_per_s"])], 0.0
    else:
        names = ("weights_gpu", "cache_gpu", "compute_gpu")
        pairs = [(name, row[f"{name}_bytes"]) for name in names]
        if kind == "llamacpp_buffers":
            pairs.append(("total_gpu", str(sum(number(value) or 0.0 for _, value in pairs))))
        else:
            pairs.append((row["total_is"], row["total_bytes"]))
            if resolution == 1.0 and "not accounted for by these buffers" in row["notes"]:
                # The table that llama.cpp prints at its end has whole MiB.
                resolution = WHOLE_MIB
    return tuple(Reading(meter, value, resolution) for meter, text in pairs if meter and (value := number(text)))
