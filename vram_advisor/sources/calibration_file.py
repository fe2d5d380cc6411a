"""A calibration as JSON that people can read, and back, whatever somebody has put into the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from vram_advisor.domain.calibration import BOUNDS, Calibration, Learnt
from vram_advisor.domain.estimate import Phase
from vram_advisor.domain.trial import Measurement
from vram_advisor.sources.json_files import parse_object, read_bytes
from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import read_record

SCHEMA_VERSION = 1
MAX_BYTES = 4 * 2**20
MAX_RUNS = 200
MAX_TEXT = 500
"""Characters of one text; a device or a version has a few dozen."""
MOST_BYTES, MOST = 2**60, 1e12
"""No memory is larger [B], no time longer [s]."""
ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,119}")
CREATED = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ")
RETIRED = ("reserved_scale",)
"""Coefficients of earlier versions that the memory model no longer has; what else a file teaches still counts. The factor
on all reserved memory took the allocator's constant for a share."""
LARGEST_SD = 2.5
"""Of a learnt coefficient, in standard deviations of its prior: a factor of two doubles its spread."""


def written(calibration: Calibration) -> bytes:
    """The file."""
    document = {"schema_version": SCHEMA_VERSION, "kind": "calibration", **asdict(calibration)}
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        BadInput: the file cannot be read, or is not a calibration that this program can use; one sentence.
    """
    return parsed(read_bytes(path, MAX_BYTES), str(path))


def parsed(data: bytes, where: str) -> Calibration:
    """The calibration that bytes hold.

    Raises:
        BadInput: one sentence that names ``where``.
    """
    document = dict(parse_object(data, where))
    version, kind = document.pop("schema_version", None), document.pop("kind", None)
    if kind != "calibration" or not isinstance(version, int):
        raise BadInput(f"{where} is not a calibration of vram-advisor.")
    if version != SCHEMA_VERSION:
        whose = "a newer version of vram-advisor: upgrade to use it" if version > SCHEMA_VERSION else "no version of it"
        raise BadInput(f"{where} is in the format of {whose}.")
    document["learnt"] = tuple(
        read_record(Learnt, row, f"{where}: learnt {i + 1}")
        for i, row in enumerate(rows(document, "learnt", where))
        if row.get("name") not in RETIRED
    )
    document["measurements"] = tuple(
        read_record(Measurement, row, f"{where}: measurement {i + 1}")
        for i, row in enumerate(rows(document, "measurements", where))
    )
    calibration = read_record(Calibration, document, where)
    for problem in problems(calibration):
        raise BadInput(f"{where}: {problem}.")
    return calibration


def rows(document: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    """The objects of a list. Raises BadInput."""
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadInput(f"{where}: {name} should be a list of objects.")
    if len(found) > MAX_RUNS:
        raise BadInput(f"{where}: {name} has {len(found):,} entries, expected at most {MAX_RUNS}.")
    return found


def problems(calibration: Calibration) -> Iterator[str]:
    """What no calibration of this program has, though every value has the right type."""
    if not ID.fullmatch(calibration.id):
        yield "id should be lower-case letters, digits, dots and hyphens"
    if not CREATED.fullmatch(calibration.created):
        yield "created should be a time such as 2026-11-24T15:30:12Z"
    for text in texts(calibration):
        if len(text) > MAX_TEXT or not text.isprintable():
            yield f"a text of {len(text):,} characters is too long or holds control characters"
    names = [row.name for row in calibration.learnt]
    if len(set(names)) < len(names):
        yield "a coefficient is learnt twice"
    for row in calibration.learnt:
        yield from learnt_problems(row)
    for measurement in calibration.measurements:
        yield from measurement_problems(measurement)


def learnt_problems(row: Learnt) -> Iterator[str]:
    """What is wrong with a correction."""
    if row.name not in BOUNDS:
        yield f"{row.name[:60]!r} is no coefficient that can be learnt: these are {', '.join(BOUNDS)}"
        return
    low, high = BOUNDS[row.name]
    if not low <= row.value <= high or not low <= row.prior <= high:
        yield f"{row.name}: {row.value:.6g} after {row.prior:.6g} is not within {low:g} and {high:g}"
    if not 0 < row.sd <= LARGEST_SD * row.prior_sd or not row.prior_sd <= high - low:
        yield f"{row.name}: a spread of {row.sd:.6g} after {row.prior_sd:.6g} is not possible"


def measurement_problems(measurement: Measurement) -> Iterator[str]:
    """What is wrong with the figures of a run."""
    for name, value in vars(measurement).items():
        if isinstance(value, (int, float)):
            most = MOST_BYTES if name.endswith("_bytes") else MOST
            least = -most if name == "disturbed_bytes" else 0
            if not least <= value <= most:
                yield f"{name} is not possible"
    for phase, nbytes in measurement.phase_bytes.items():
        if phase not in get_args(Phase) or type(nbytes) is not int or not 0 <= nbytes <= MOST_BYTES:
            yield "phase_bytes should be bytes by the name of a phase"
    total = measurement.environment.total_bytes
    if total is not None and not 0 < total <= MOST_BYTES:
        yield "total_bytes is not possible"


def texts(calibration: Calibration) -> Iterator[str]:
    """All that may be shown to a person."""
    records: list[object] = [calibration, calibration.key]
    for measurement in calibration.measurements:
        trial, environment = measurement.trial, measurement.environment
        records += [measurement, environment, trial, trial.workload, trial.plan]
        for name, version in environment.versions.items():
            # What is no text has no place here either.
            yield from (name, version if isinstance(version, str) else "\0")
    for record in records:
        yield from (value for value in vars(record).values() if isinstance(value, str))
