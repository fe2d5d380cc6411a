"""The shapes of the JSON about calibrations that are kept."""

from __future__ import annotations

from typing_extensions import TypedDict

from vram_advisor.domain.answer import Kinship
from vram_advisor.domain.trial import Backend


class CalibrationKeyDocument(TypedDict):
    """Where a calibration was made."""

    backend: Backend
    gpu: str
    """Name of the device as the driver prints it."""
    driver: str | None
    """Major version."""
    torch: str
    """Major and minor version."""
    recipe: str
    system: str


class LearntDocument(TypedDict):
    """One coefficient before and after."""

    name: str
    prior: float
    prior_sd: float
    value: float
    sd: float
    bounded: bool
    """The measurements asked for more than the bound of a correction allows."""


class AppliedCalibrationDocument(TypedDict):
    """Which measurements corrected the answer."""

    id: str
    created: str
    """UTC, ISO 8601 with seconds."""
    kinship: Kinship
    """What it has in common with the question."""
    differs: list[str]
    """What has not, so that less of it counts: torch, driver, levers, allocator, program."""
    key: CalibrationKeyDocument
    learnt: list[LearntDocument]
    """As far as it counts here."""


class KeptCalibrationDocument(TypedDict):
    """A calibration without its measurements."""

    id: str
    created: str
    """UTC, ISO 8601 with seconds."""
    program: str
    """Version of vram-advisor that made it."""
    key: CalibrationKeyDocument
    learnt: list[LearntDocument]
    runs: int


class CalibrationsDocument(TypedDict):
    """What ``vram-advisor calibrations --json`` prints."""

    schema_version: int
    calibrations: list[KeptCalibrationDocument]
    """The newest first."""
    problems: list[str]
    """Files that are not used, each in a sentence that says why."""


class RemovedDocument(TypedDict):
    """What ``vram-advisor calibrations remove --json`` prints."""

    schema_version: int
    removed: list[str]
    """Ids."""


class ExportedDocument(TypedDict):
    """What ``vram-advisor calibrations export --json`` prints."""

    schema_version: int
    exported: str
    """Id."""
    file: str


class ImportedCalibrationDocument(TypedDict):
    """What ``vram-advisor calibrations import --json`` prints."""

    schema_version: int
    imported: str
    """Id."""
