"""What a user has set for every command: the file ``vram-advisor.toml`` in the folder of their configuration.

    gpu = "rtx-5070"
    price_per_kwh = 0.32
    currency = "EUR"
    theme = "okabe-ito"
    [keys]
    copy = "w"

Every key is the name of an option, with underscores; the table ``keys`` puts actions of the terminal app on other keys. The variable VRAM_ADVISOR_CONFIG names another file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vram_advisor.units.errors import BadInput

FILE = "vram-advisor.toml"
FOLDER = "vram-advisor"
VARIABLE = "VRAM_ADVISOR_CONFIG"
KEYS = "keys"
"""The table of keys of the terminal app."""
LARGEST = 1 << 20
"""Largest file that is read [B]."""
OTHERS: dict[str, type] = {"gpu": str, "gpu_index": int, "theme": str, "ascii": bool}
"""Options beside those of the records, with their types."""


def settings_file(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str | None:
    """Where the file is, whether it is there or not; None where the user has no home."""
    if named := environment.get(VARIABLE):
        return os.path.expanduser(named)
    home = os.path.expanduser("~")
    if platform == "win32":
        base = environment.get("APPDATA") or (os.path.join(home, "AppData", "Roaming") if home != "~" else "")
    elif platform == "darwin":
        base = os.path.join(home, "Library", "Application Support") if home != "~" else ""
    else:
        stated = environment.get("XDG_CONFIG_HOME", "")
        # The standard says that relative paths are to be ignored.
        base = stated if os.path.isabs(stated) else os.path.join(home, ".config") if home != "~" else ""
    return os.path.join(base, FOLDER, FILE) if base else None


def read_settings(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> dict[str, Any]:
    """The settings by the names of options; none where there is no file.

    Raises:
        BadInput: the file cannot be read, is no TOML, has a key that is no option, or a value that its option does not
            take; or the variable names a file that is not there.
    """
    path = settings_file(environment, platform)
    if path is None:
        return {}
    try:
        size = os.stat(path).st_size
    except OSError as error:
        if environment.get(VARIABLE):
            raise BadInput(f"{path}, named by {VARIABLE}, cannot be read: {error.strerror or error}.") from None
        return {}
    if size > LARGEST:
        raise BadInput(f"{path} is larger than {LARGEST:,} bytes, which no file of settings is.")
    return _parsed(path)


def _parsed(path: str) -> dict[str, Any]:
    import tomllib

    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is no TOML: {error}.") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    _check(found, path)
    return found


def _check(found: dict[str, Any], path: str) -> None:
    """Raises BadInput that names the file, the key and what is allowed."""
    from dataclasses import fields

    from vram_advisor.domain.job import Dataset
    from vram_advisor.domain.plan import Plan, Workload

    records = (Workload, Plan, Dataset)
    known = {field.name for record in records for field in fields(record)}
    for key, value in found.items():
        if key in OTHERS:
            kind = OTHERS[key]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                words = {str: "a text", int: "a whole number", bool: "true or false"}[kind]
                raise BadInput(f"{path}: {key} is {str(value)[:40]}, expected {words}.")
        elif key == KEYS:
            if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
                raise BadInput(f'{path}: {KEYS} is a table of actions and their keys: [{KEYS}] copy = "w".')
        elif key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key.replace("-", "_"), [*known, *OTHERS, KEYS], n=1, cutoff=0.5)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise BadInput(f"{path}: '{key[:60]}' is no option{hint}.")
    for record in records:
        mine = {field.name: found[field.name] for field in fields(record) if field.name in found}
        try:
            record(**mine)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
