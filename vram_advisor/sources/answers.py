"""Values of a JSON answer: what is not of the expected kind counts as missing."""

from collections.abc import Mapping

LONGEST_TEXT = 400
"""Characters of a text that are kept."""


def objects(answer: Mapping[str, object], key: str) -> tuple[Mapping[str, object], ...]:
    """The objects of a list in an answer; whatever else is in it is left out."""
    listed = answer.get(key)
    return tuple(entry for entry in listed if isinstance(entry, dict)) if isinstance(listed, list) else ()


def text(entry: Mapping[str, object], key: str) -> str | None:
    """A text of an answer; None where it is empty or something else."""
    value = entry.get(key)
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def number(entry: Mapping[str, object], key: str) -> int | None:
    """A whole number of an answer from 0."""
    value = entry.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def whole(value: object) -> int | None:
    """A positive whole number; None for everything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def flag(entry: Mapping[str, object], key: str) -> bool | None:
    """True or false of an answer; None where it is something else."""
    value = entry.get(key)
    return value if isinstance(value, bool) else None


def inside(entry: Mapping[str, object], key: str) -> Mapping[str, object]:
    """An object inside an answer; empty where there is none."""
    value = entry.get(key)
    return value if isinstance(value, dict) else {}
