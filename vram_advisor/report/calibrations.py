"""Kept calibrations: a list of them, and one with its coefficients and runs; as lines and as documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from vram_advisor.domain.answer import SCHEMA_VERSION
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.report.calibration_words import NAMES, age, corrections
from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.sizes import size
from vram_advisor.units.bytes import MIB

if TYPE_CHECKING:
    from datetime import datetime

    from vram_advisor.domain.calibration import Calibration, Learnt
    from vram_advisor.domain.trial import Measurement
    from vram_advisor.report import calibration_types as types
    from vram_advisor.sources.calibrations import Stored

OUTCOMES = {
    "measured": "",
    "out_of_memory": "out of memory",
    "killed": "ended by the system",
    "timed_out": "took too long",
    "failed": "failed",
    "stopped": "stopped",
}


def list_lines(stored: Stored, width: int, now: datetime | None = None) -> Iterator[Line]:
    """Each calibration in three lines: its id, where it was made, what it taught."""
    for i, calibration in enumerate(stored.calibrations):
        if i:
            yield BLANK
        yield from wrapped(line(calibration.id, "bold"), width)
        yield from indented(wrapped(line(_made(calibration, now)), width - 2, hanging=2))
        yield from indented(wrapped(line(corrections(calibration.learnt)), width - 2, hanging=2))


def calibration_lines(calibration: Calibration, width: int, now: datetime | None = None) -> Iterator[Line]:
    """One calibration in full."""
    yield from wrapped(line(calibration.id, "bold"), width)
    yield from indented(wrapped(line(f"{_made(calibration, now)}; vram-advisor {calibration.program}"), width - 2))
    yield BLANK
    yield line("Coefficients", "bold")
    yield from indented(_coefficients(calibration.learnt, width - 2))
    yield BLANK
    yield line("Runs", "bold")
    yield from indented(_runs(calibration.measurements, width - 2))


def list_document(stored: Stored) -> types.CalibrationsDocument:
    """The list, without the measurements."""
    return {
        "schema_version": SCHEMA_VERSION,
        "calibrations": [
            {
                "id": calibration.id,
                "created": calibration.created,
                "program": calibration.program,
                "key": cast("types.CalibrationKeyDocument", asdict(calibration.key)),
                "learnt": [cast("types.LearntDocument", asdict(row)) for row in calibration.learnt],
                "runs": len(calibration.measurements),
            }
            for calibration in stored.calibrations
        ],
        "problems": list(stored.problems),
    }


def removed_document(removed: Sequence[str]) -> types.RemovedDocument:
    """What was forgotten."""
    return {"schema_version": SCHEMA_VERSION, "removed": list(removed)}


def exported_document(calibration: Calibration, file: str) -> types.ExportedDocument:
    """What was written to a file."""
    return {"schema_version": SCHEMA_VERSION, "exported": calibration.id, "file": file}


def imported_document(calibration: Calibration) -> types.ImportedCalibrationDocument:
    """What was kept of a file."""
    return {"schema_version": SCHEMA_VERSION, "imported": calibration.id}


def calibration_document(calibration: Calibration) -> dict[str, Any]:
    """One calibration with its measurements."""
    return {"schema_version": SCHEMA_VERSION, **asdict(calibration)}


def _made(calibration: Calibration, now: datetime | None) -> str:
    key = calibration.key
    driver = f", driver {key.driver}" if key.driver else ""
    runs = len(calibration.measurements)
    return (
        f"{age(calibration.created, now)} on {key.gpu} ({key.backend}), {key.system}{driver}, PyTorch {key.torch}; "
        f"recipe {key.recipe}, {runs} run{'' if runs == 1 else 's'}"
    )


def _coefficients(learnt: Sequence[Learnt], width: int) -> list[Line]:
    if not learnt:
        return wrapped(line("The runs taught nothing."), width)
    columns = (
        Column("", flexible=True), Column("before", "right", optional=1), Column("after", "right"), Column("unit", optional=2),
        Column(),
    )  # fmt: skip
    rows = []
    for row in learnt:
        unit = getattr(NOMINAL, row.name).unit
        scale = MIB if unit.startswith("B ") else 1
        before, after = ((row.prior, row.prior_sd), (row.value, row.sd))
        rows.append(
            (
                line(NAMES[row.name]),
                line(" ± ".join(f"{number / scale:.3g}" for number in before), "dim"),
                line(" ± ".join(f"{number / scale:.3g}" for number in after), "bold"),
                line(unit.replace("B ", "MiB ") if scale == MIB else unit, "dim"),
                line("at its bound", "warning") if row.bounded else (),
            )
        )
    return table(columns, rows, width)


def _runs(measurements: Sequence[Measurement], width: int) -> list[Line]:
    columns = (
        Column("method"), Column("layers", "right", optional=3), Column("tokens", "right"), Column("allocated", "right"),
        Column("reserved", "right", optional=2), Column("process", "right", optional=1), Column("step", "right", optional=4),
        Column("", flexible=True),
    )  # fmt: skip
    rows = []
    for each in measurements:
        workload, config = each.trial.workload, each.trial.config
        layers = next((config[key] for key in ("num_hidden_layers", "n_layer") if key in config), None)
        rows.append(
            (
                line(workload.method),
                line(f"{layers}" if isinstance(layers, int) else "–"),
                line(f"{workload.micro_batch_size} × {workload.sequence_length:,}"),
                *(line(_size(n)) for n in (each.allocated_bytes, each.reserved_bytes, each.process_bytes)),
                line("–" if each.step_seconds is None else f"{each.step_seconds:.3g} s"),
                line(OUTCOMES[each.outcome], "warning"),
            )
        )
    return table(columns, rows, width)


def _size(nbytes: int | None) -> str:
    return "–" if nbytes is None else size(nbytes)
