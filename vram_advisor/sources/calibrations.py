"""The calibrations that this user keeps: one file each, in the data directory of the program.

Nothing is imported for a store that is empty: every ``check`` looks here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vram_advisor.sources.user_data import data_directory, write_whole
from vram_advisor.units.errors import BadInput, Missing

if TYPE_CHECKING:
    from vram_advisor.domain.calibration import Calibration

SUFFIX = ".json"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stored:
    """What the store holds."""

    calibrations: tuple[Calibration, ...] = ()
    """The newest first."""
    problems: tuple[str, ...] = ()
    """Files that are not used, each in a sentence that says why."""


def store() -> Path | None:
    """The directory of the store, which need not exist; None where the user has no home."""
    directory = data_directory()
    return None if directory is None else directory / "calibrations"


def stored() -> Stored:
    """All calibrations that can be used; what cannot is said. Never raises."""
    directory = store()
    if directory is None:
        return Stored()
    try:
        with os.scandir(directory) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(SUFFIX) and not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return Stored()
    except (OSError, ValueError) as error:
        return Stored(problems=(f"Calibrations in {directory} are not used: {_reason(error)}.",))
    if not names:
        return Stored()
    from vram_advisor.sources import calibration_file

    found, problems = [], []
    for name in names:
        try:
            calibration = calibration_file.read(directory / name)
            if calibration.id + SUFFIX != name:
                raise BadInput(f"{directory / name} holds a calibration of another name, {calibration.id}.")
            found.append(calibration)
        except BadInput as error:
            problems.append(f"A calibration is not used: {str(error).rstrip('.')}.")
    found.sort(key=lambda calibration: (calibration.created, calibration.id), reverse=True)
    return Stored(tuple(found), tuple(problems))


def find(name: str) -> Calibration:
    """The calibration of this id, or the only one whose id begins so.

    Raises:
        BadInput: there is none, or there are several, or its file cannot be used.
    """
    here = stored().calibrations
    exact = [each for each in here if each.id == name]
    found = exact or [each for each in here if name and each.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"'{name}' could be {' or '.join(each.id for each in found[:5])}: write more of it.")
    path = _path(name)
    if path is not None and path.is_file():
        from vram_advisor.sources import calibration_file

        calibration_file.read(path)
    raise BadInput(f"There is no calibration '{name[:120]}': {_known([each.id for each in here])}.")


def save(calibration: Calibration) -> Path:
    """Keep a calibration and return its file.

    Raises:
        Missing: the system refuses to write it; nothing is left behind.
    """
    from vram_advisor.sources import calibration_file

    path = _path(calibration.id)
    if path is None:
        raise Missing("Calibrations cannot be kept: there is no home directory; name one with VRAM_ADVISOR_DATA_DIR.")
    write_whole(path, calibration_file.written(calibration))
    return path


def remove(name: str) -> str:
    """Forget a calibration and return its id; a file that cannot be read goes by its whole name.

    Raises:
        BadInput: there is no such calibration.
        Missing: the system refuses to remove it.
    """
    path = _path(name)
    if path is None or not path.is_file():
        name = find(name).id
        path = _path(name)
    assert path is not None
    try:
        path.unlink()
    except OSError as error:
        raise Missing(f"{path} cannot be removed: {_reason(error)}.") from None
    return name


def export_to(name: str, file: Path) -> Calibration:
    """Write a calibration to a file that is not there yet.

    Raises:
        BadInput: there is no such calibration, or there is such a file.
        Missing: the system refuses to write it.
    """
    from vram_advisor.sources import calibration_file

    calibration = find(name)
    if file.exists():
        raise BadInput(f"{file} is there already: name another file.")
    if not file.parent.is_dir():
        raise BadInput(f"{file.parent} is not a directory.")
    write_whole(file, calibration_file.written(calibration))
    return calibration


def import_from(file: Path) -> Calibration:
    """Keep the calibration of a file.

    Raises:
        BadInput: the file is no calibration, or another one of that name is kept already.
        Missing: the system refuses to write it.
    """
    from vram_advisor.sources import calibration_file

    calibration = calibration_file.read(file)
    path = _path(calibration.id)
    if path is not None and path.exists() and calibration_file.read(path) != calibration:
        raise BadInput(f"Another calibration is called {calibration.id}: remove that one first.")
    save(calibration)
    return calibration


def _path(name: str) -> Path | None:
    """The file of an id; None where there is no store, or where no file can have that name."""
    from vram_advisor.sources.calibration_file import ID

    directory = store()
    return None if directory is None or not ID.fullmatch(name) else directory / f"{name}{SUFFIX}"


def _known(ids: list[str]) -> str:
    if not ids:
        return "none is stored"
    return f"stored are {', '.join(ids[:5])}" + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
