"""What measurements taught: a correction of coefficients, and where it applies."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.trial import Backend, Measurement
from vram_advisor.units.bytes import MIB
from vram_advisor.units.record import check

BOUNDS: dict[str, tuple[float, float]] = {
    "activation_scale": (0.5, 2.0),
    "slack_scale": (0.1, 4.0),
    "slack_constant": (0.0, 2.0),
    "simulation_scale": (0.7, 1.5),
    "throughput_efficiency": (0.1, 4.0),
    "context_base": (-600.0, 1500.0),
    "cublas_workspace": (0.0, 128.0 * MIB),
    "cublas_workspace_hopper": (0.0, 128.0 * MIB),
}
"""The coefficients that measurements correct, each with its lowest and highest value in its own unit. What asks for more
is a wrong recipe or a disturbed run, not a coefficient. The context of a card with many multiprocessors is less than
their number says where libraries load lazily, and more under Windows and with many streams."""


@dataclass(frozen=True, kw_only=True)
class CalibrationKey:
    """What moves the numbers: a calibration serves best where all of it is the same."""

    backend: Backend
    gpu: str
    """Name of the device as the driver prints it."""
    driver: str | None = None
    """Major version of the driver."""
    torch: str
    """Major and minor version."""
    recipe: str
    system: str
    """linux, windows, wsl or darwin."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """One coefficient before and after."""

    name: str
    """A field of ``Coefficients``."""
    prior: float
    prior_sd: float
    value: float
    sd: float
    bounded: bool = False
    """The measurements asked for more than the bound of a correction allows."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Coefficients that measurements on one machine corrected."""

    id: str
    created: str
    """UTC, ISO 8601 with seconds."""
    program: str
    """Version of this program."""
    key: CalibrationKey
    learnt: tuple[Learnt, ...]
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        check(self)


def key_of(measurement: Measurement) -> CalibrationKey:
    """What moves the numbers of a run."""
    environment = measurement.environment
    return CalibrationKey(
        backend=environment.backend,
        gpu=environment.device,
        driver=environment.driver.split(".")[0] if environment.driver else None,
        torch=minor(environment.versions.get("torch", "")),
        recipe=measurement.trial.plan.recipe,
        system=environment.system,
    )


def minor(version: str) -> str:
    """Major and minor of a version.

    >>> minor("2.13.0+cu128")
    '2.13'
    """
    return ".".join(version.split("+")[0].split(".")[:2])


def calibration_id(key: CalibrationKey, created: str) -> str:
    """Date, time, card and recipe in one word that is a file name everywhere.

    >>> key = CalibrationKey(backend="cuda", gpu="NVIDIA RTX 4090", torch="2.13", recipe="trl", system="linux")
    >>> calibration_id(key, "2026-11-24T15:30:12Z")
    '2026-11-24-153012-nvidia-rtx-4090-trl'
    """
    words = f"{created[:10]} {created[11:19].replace(':', '')} {key.gpu} {key.recipe}".lower()
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter == ".") else " " for letter in words)
    return "-".join(kept.split())[:120].rstrip(".-")


def corrected(coefficients: Coefficients, learnt: Iterable[Learnt], source: str) -> Coefficients:
    """Coefficients with what was learnt in place of the nominal values.

    Args:
        coefficients: the nominal ones.
        learnt: their corrections.
        source: the calibration by its id.
    """
    rows = tuple(learnt)
    changed: dict[str, Any] = {
        row.name: replace(getattr(coefficients, row.name), value=row.value, sd=row.sd, reference=source) for row in rows
    }
    names = coefficients.learnt.union(changed)
    return replace(coefficients, **changed, learnt=names, source=source)
