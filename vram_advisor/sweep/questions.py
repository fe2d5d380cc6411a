"""The questions of a sweep, from lists of values and from files.

A table of values has names of options as keys. A list is an axis: every value of it is asked, with every value of the
other axes. Options that hold several words by themselves, such as target_modules, are axes where the list holds lists.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any, get_origin

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.sweep import Cell, Question
from vram_advisor.units.errors import BadInput

FIELDS = {field.name: field.type for record in (Workload, Plan) for field in fields(record)}
LISTS = frozenset(name for name, kind in FIELDS.items() if get_origin(kind) is tuple)
"""Options whose value is a list."""
PLANS, MODELS, GPUS = "plans", "models", "gpus"
LARGEST = 1 << 24
"""Largest file that is read [B]."""
MOST = 1_000_000
"""Questions of one model."""

Choices = dict[str, Any]


def read_file(file: Path) -> dict[str, Any]:
    """A table of TOML or JSON.

    Raises:
        BadInput: it cannot be read; the sentence names the file.
    """
    import tomllib

    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise BadInput(f"{file} is larger than {LARGEST >> 20} MiB, which no list of questions is.")
        text = data.decode("utf-8")
        found = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        kind = "JSON" if file.suffix.lower() == ".json" else "TOML"
        raise BadInput(f"{file} is no {kind}: {error}.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{file}: should be a table of options, not a {type(found).__name__}.")
    return found


def axis(text: str) -> tuple[str, tuple[Any, ...]]:
    """``name=value,value`` as it is typed.

    >>> axis("micro-batch-size=1,2")
    ('micro_batch_size', (1, 2))

    Raises:
        BadInput: it has no such form, or there is no such option.
    """
    name, equals, values = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals or not values.strip():
        raise BadInput(f"--vary {text}: should be an option and its values, such as micro_batch_size=1,2,4.")
    _known(name, "--vary")
    parts = [part.strip() for part in values.split(",")]
    if name in LISTS:
        return name, tuple(tuple(_typed(word) for word in part.split("+")) for part in parts)
    return name, tuple(_typed(part) for part in parts)


def products(table: Mapping[str, Any], where: str) -> list[Choices]:
    """The choices that a table stands for.

    Raises:
        BadInput: a key is no option, or there are too many.
    """
    common = {key: value for key, value in table.items() if key not in (PLANS, MODELS, GPUS)}
    several = table.get(PLANS, [{}])
    if not isinstance(several, list) or not all(isinstance(each, dict) for each in several) or not several:
        raise BadInput(f"{where}: {PLANS} should be a list of tables.")
    found: list[Choices] = []
    for each in several:
        merged = {**common, **each}
        for name in merged:
            _known(name, where)
        axes = [_axis(name, value) for name, value in merged.items()]
        if len(found) + prod(len(values) for values in axes) > MOST:
            raise BadInput(f"{where}: more than {MOST:,} questions: leave some values out.")
        found += [dict(zip(merged, values, strict=True)) for values in itertools.product(*axes)]
    return found


def columns(questions: Sequence[Question]) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    """Options that differ between questions, with the value of each; lists as words."""
    found = []
    for name in FIELDS:
        record = "workload" if name in Workload.__dataclass_fields__ else "plan"
        values = tuple(_cell(getattr(getattr(question, record), name)) for question in questions)
        if len({(type(value), value) for value in values}) > 1:
            found.append((name, values))
    return tuple(found)


def _axis(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        return (value,)
    if name in LISTS and not any(isinstance(each, (list, tuple)) for each in value):
        return (tuple(value),)
    return tuple(value)


def _known(name: str, where: str) -> None:
    if name in FIELDS:
        return
    from difflib import get_close_matches

    near = get_close_matches(name, FIELDS, n=1)
    raise BadInput(f"{where}: '{name}' is no option{f'; the nearest is {near[0]}' if near else ''}.")


def _typed(text: str) -> Cell:
    """A word as the value that it looks like."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _cell(value: Any) -> Cell:
    return " ".join(str(each) for each in value) if isinstance(value, tuple) else value
