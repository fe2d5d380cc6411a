"""Frozen dataclasses that people and files fill in, checked field by field.

The types of the fields are the rules: bool, int, float, str, date, Literal, tuple, dict, another record, or None beside
any of them. ``metadata`` may add bounds, under the names that JSON Schema has for them. A library does the same with
more comfort, but to build its models takes longer than a whole answer may take.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from math import inf
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from vram_advisor.units.errors import BadInput

BOUNDS = {
    "minimum": ("greater than or equal to", operator.ge),
    "exclusiveMinimum": ("greater than", operator.gt),
    "maximum": ("less than or equal to", operator.le),
    "exclusiveMaximum": ("less than", operator.lt),
}
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", dict: "a table"}
"""What is allowed, for types whose name says little to people."""
LONGEST = 60
"""Characters of a wrong value that are shown again."""

R = TypeVar("R")


class Misfit(ValueError):
    """A value does not fit its field."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(field, value, allowed)
        self.field, self.value, self.allowed = field, value, allowed


def check(record: object) -> None:
    """Check every field of a record that is not its default; lists become tuples. Call it in ``__post_init__``.

    Raises:
        Misfit: a value is not of the type of its field or out of bounds.
    """
    for name, field in record.__dataclass_fields__.items():  # type: ignore[attr-defined]
        value = getattr(record, name)
        if value is field.default:
            continue
        try:
            fitting = _fitting(value, field.type)
        except ValueError:
            raise Misfit(name, value, allowed(field.type)) from None
        if fitting is not value:
            object.__setattr__(record, name, fitting)
        for bound, limit in field.metadata.items() if fitting is not None else ():
            words, holds = BOUNDS[bound]
            if not holds(fitting, limit):
                raise Misfit(name, value, f"{words} {limit}")


def check_options(record: object) -> None:
    """As ``check``, for a record whose fields are options of the command line.

    Raises:
        BadInput: one sentence that names the option, what was given and what is allowed.
    """
    try:
        check(record)
    except Misfit as misfit:
        option = f"--{misfit.field.replace('_', '-')}"
        given = _shown(misfit.value)
        kind = record.__dataclass_fields__[misfit.field].type  # type: ignore[attr-defined]
        raise BadInput(complaint(option, given, misfit.allowed, choices(kind))) from None


def complaint(option: str, given: str, allowed: str, choices: tuple[str, ...] = ()) -> str:
    """The sentence about a value that an option does not take, with the nearest of its choices."""
    from difflib import get_close_matches

    near = get_close_matches(given, choices, n=1)
    return f"{option} {given}: should be {allowed}{f'; the nearest is {near[0]}' if near else ''}."


def read_record(cls: type[R], table: Mapping[str, Any], where: str) -> R:
    """A record from a table of a data file; its ``__post_init__`` has to call ``check``.

    Raises:
        BadInput: one sentence that names ``where`` and the key that is unknown, missing or wrong.
    """
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    values = dict(table)
    for key in values:
        if key not in fields:
            raise BadInput(f"{where}: {key}: no such key.")
    for key, field in fields.items():
        if key not in values and field.default is MISSING:
            raise BadInput(f"{where}: {key} is missing.")
        if key in values and is_dataclass(field.type) and isinstance(values[key], dict):
            values[key] = read_record(field.type, values[key], f"{where}: {key}")  # type: ignore[arg-type]
    try:
        return cls(**values)
    except Misfit as misfit:
        raise BadInput(f"{where}: {misfit.field}: {_shown(misfit.value)} should be {misfit.allowed}.") from None
    except ValueError as error:
        raise BadInput(f"{where}: {error}.") from None


def choices(kind: Any) -> tuple[str, ...]:
    """The words that a type allows; none where it allows more than some words."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(word for member in _members(kind) if member is not kind for word in choices(member))


def allowed(kind: Any) -> str:
    """What a type allows, in words."""
    if words := choices(kind):
        return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    if get_origin(kind) is tuple:
        return f"a list, each {allowed(get_args(kind)[0])}"
    members = [member for member in _members(kind) if member is not types.NoneType]
    if members != [kind]:
        return " or ".join(allowed(member) for member in members)
    return WORDS.get(dict if is_dataclass(kind) else get_origin(kind) or kind) or f"a {kind.__name__}"


def _members(kind: Any) -> tuple[Any, ...]:
    """The types of a union; a type that is none by itself."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fitting(value: Any, kind: Any) -> Any:
    """The value as the type has it. Raises ValueError where it does not fit."""
    if kind is int:
        if type(value) is int:
            return value
        if hasattr(value, "__index__") and not isinstance(value, bool):
            return value.__index__()
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and -inf < value < inf:
            return value
    elif isinstance(kind, type):
        if isinstance(value, kind):
            return value
    elif (origin := get_origin(kind)) is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
    elif origin is tuple:
        if isinstance(value, (tuple, list)):
            fitting = tuple(_fitting(each, get_args(kind)[0]) for each in value)
            return value if fitting == value else fitting
    elif origin is dict:
        if isinstance(value, dict):
            return value
    else:
        for member in get_args(kind):
            try:
                return _fitting(value, member)
            except ValueError:
                continue
    raise ValueError


def _shown(value: object) -> str:
    """A wrong value in one short line."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"{value:.3g}" if value.bit_length() < 1024 else "with hundreds of digits"
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
