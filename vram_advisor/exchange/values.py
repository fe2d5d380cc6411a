"""Values of files as values of fields and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.exchange.documents import shown
from vram_advisor.exchange.keys import WORKLOAD, Key, Kind, Value
from vram_advisor.units.errors import BadInput

EXPECTED = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "text": "text", "texts": "a list of text",
    "numbers": "a list of numbers",
}  # fmt: skip
NOTHING = frozenset({"None", "null", "~", ""})
"""Texts that mean that a key is not set."""
TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LONGEST_NUMBER = 40
WHOLE = re.compile(r"[+-]?[0-9]+")


def is_nothing(value: object) -> bool:
    """Whether a value leaves its key unset."""
    return value is None or (isinstance(value, str) and value.strip() in NOTHING)


def converted(value: Any, kind: Kind, where: str, key: str, separator: str = "") -> Value:
    """A value of a file as a field of this kind holds it; words of a command line are read as numbers.

    Raises:
        BadInput: it is of another type.
    """
    found = _converted(value, kind, separator)
    if found is None:
        raise BadInput(f"{where}: {key}: {shown(value)} should be {EXPECTED[kind]}.")
    return found


def _converted(value: Any, kind: Kind, separator: str) -> Value:
    if kind == "bool":
        return value if isinstance(value, bool) else TRUTHS.get(value.lower()) if isinstance(value, str) else None
    if kind == "int":
        if isinstance(value, str):
            return int(value) if len(value) <= LONGEST_NUMBER and WHOLE.fullmatch(value.strip()) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if kind == "float":
        return _number(value)
    if kind == "text":
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    parts = value.split(separator) if isinstance(value, str) and separator else value
    parts = parts if isinstance(parts, list | tuple) else [parts]
    if kind == "numbers":
        numbers = tuple(_number(part) for part in parts)
        return None if None in numbers else numbers
    if any(not isinstance(part, str) for part in parts):
        return None
    return tuple(part.strip() for part in parts if part.strip())


def _number(value: Any) -> float | int | None:
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def meant(row: Key, value: Any, kind: Kind, where: str, key: str) -> Value:
    """What a written value of a key means."""
    if row.words:
        plain = value.strip() if isinstance(value, str) else value
        for written, meaning in row.words:
            if plain == written and isinstance(plain, bool) == isinstance(written, bool):
                return meaning
    return converted(value, kind, where, key, row.separator)


def written(row: Key, value: Value) -> Value:
    """A value of a field as the key has it."""
    for wrote, meaning in row.words:
        if value == meaning:
            return wrote
    if row.separator and isinstance(value, tuple):
        return row.separator.join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return value


def placed(workload: Workload, plan: Plan, name: str, value: Value, where: str, key: str) -> tuple[Workload, Plan]:
    """Workload and plan with one field set.

    Raises:
        BadInput: the value is out of the bounds of the field; the sentence names the key of the file.
    """
    try:
        if name in WORKLOAD:
            return replace(workload, **{name: value}), plan  # type: ignore[arg-type]
        return workload, replace(plan, **{name: value})  # type: ignore[arg-type]
    except BadInput as error:
        allowed = str(error).partition(": ")[2]
        raise BadInput(f"{where}: {key}: {shown(value)} {allowed}") from None


def field_of(workload: Workload, plan: Plan, model: str | None, name: str) -> Value:
    """The value of a field, or the name of the model."""
    if name == "model":
        return model
    value: Value = getattr(workload if name in WORKLOAD else plan, name)
    return value
