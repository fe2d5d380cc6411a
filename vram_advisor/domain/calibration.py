"""What measurements taught: a correction of coefficients, and where it applies."""

from dataclasses import dataclass

from vram_advisor.domain.trial import Backend, Measurement
from vram_advisor.units.record import check


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
