"""Where the program keeps what belongs to a user, and how it writes there: whole files or nothing."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from vram_advisor.units.errors import Missing

NAME = "vram-advisor"
VARIABLE = "VRAM_ADVISOR_DATA_DIR"
"""Environment variable that names another directory."""


def data_directory(platform: str = sys.platform) -> Path | None:
    """The directory for data of this program, which need not exist; None where the user has no home.

    Args:
        platform: as ``sys.platform``.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if platform == "win32":
        if local := os.environ.get("LOCALAPPDATA"):
            return Path(local, NAME)
        parts: tuple[str, ...] = ("AppData", "Local", NAME)
    elif platform == "darwin":
        parts = ("Library", "Application Support", NAME)
    else:
        stated = os.environ.get("XDG_DATA_HOME", "")
        # The standard says that relative paths are to be ignored.
        if os.path.isabs(stated):
            return Path(stated, NAME)
        parts = (".local", "share", NAME)
    home = os.path.expanduser("~")
    return None if home == "~" else Path(home, *parts)


def cache_directory(platform: str = sys.platform) -> Path | None:
    """The directory for what can be found out again, which need not exist; None where the user has no home.

    Args:
        platform: as ``sys.platform``.
    """
    home = os.path.expanduser("~")
    if platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local, NAME, "Cache") if local else None
    if platform == "darwin":
        parts: tuple[str, ...] = ("Library", "Caches", NAME)
    else:
        stated = os.environ.get("XDG_CACHE_HOME", "")
        if os.path.isabs(stated):
            return Path(stated, NAME)
        parts = (".cache", NAME)
    return None if home == "~" else Path(home, *parts)


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place with all its bytes on disk, or leave everything as it was.

    Raises:
        Missing: the system refuses; one sentence says why.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            with suppress(OSError):
                beside.unlink()
    except OSError as error:
        raise Missing(f"{path} cannot be written: {error.strerror or error}. Nothing was changed.") from None
