"""JSON from files of unknown origin: whatever is wrong with them, one sentence and no memory."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from vram_advisor.units.errors import BadInput

MAX_VALUES = 1 << 21
"""Most values of one file [numbers, texts, lists and objects]: a parsed value takes a hundred bytes, written two."""


def refuse_constant(name: str) -> float:
    """NaN and infinities are not JSON and no number of a model."""
    raise ValueError(f"{name} is not a number")


def parse_object(data: bytes, where: str) -> Mapping[str, object]:
    """The object that bytes of JSON hold.

    Raises BadInput that names ``where``: too many values, not UTF-8, not JSON, nested too deeply, NaN, not an object.
    """
    # no value is without a comma before it or a bracket around it
    if data.count(b",") + data.count(b"{") + data.count(b"[") > MAX_VALUES:
        raise BadInput(f"{where} holds more than {MAX_VALUES:,} values, which no model has")
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=refuse_constant)
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise BadInput(f"{where} is not a configuration: its JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{where} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise BadInput(f"{where} is not JSON: {str(error)[:80]}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{where} holds a JSON {type(value).__name__}, expected an object")
    return value


def read_bytes(path: Path, limit: int) -> bytes:
    """All bytes of a regular file of at most ``limit`` bytes [B]. Raises BadInput."""
    try:
        # a pipe or a device has no size and may never end
        if not path.is_file():
            raise BadInput(f"{path} is not there" if not path.exists() else f"{path} is not a file")
        size = path.stat().st_size
        if size > limit:
            raise BadInput(f"{path} has {size:,} bytes, expected at most {limit:,}")
        with path.open("rb") as file:
            # a buffer of the limit would be allocated at once
            data = file.read(size + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from None
    if not data.strip():
        raise BadInput(f"{path} is empty")
    return data


def read_object(path: Path, limit: int) -> Mapping[str, object]:
    """The object in a JSON file of at most ``limit`` bytes [B]. Raises BadInput."""
    return parse_object(read_bytes(path, limit), str(path))


def expanded(path: str | Path) -> Path:
    """A path with its leading ``~`` as the home of the user; as it is where there is no such user."""
    return Path(os.path.expanduser(path))


def reason(error: Exception) -> str:
    """Why the system refused, in words."""
    return getattr(error, "strerror", None) or str(error)[:80]
