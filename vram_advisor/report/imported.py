"""What was understood of another program's file, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from vram_advisor.domain.imported import Imported
from vram_advisor.report.layout import BLANK, Line, indented, line, wrapped

UNCOUNTED = "changes memory, but is not in the estimate"
UNKNOWN = "not understood"
ASSUMED = "not said there, so it is assumed"


def leftovers(imported: Imported) -> list[str]:
    """Sentences about the keys that the estimate may lack, for where the lines are not shown."""
    rows = ((UNCOUNTED, imported.not_modelled), (UNKNOWN, imported.unknown))
    said = [f"{imported.source}: {title}: {', '.join(keys)}." for title, keys in rows if keys]
    if imported.assumed:
        said.append(f"{imported.source}: {ASSUMED}: {_options(imported)}.")
    return said


def _options(imported: Imported) -> str:
    return " ".join(f"--{name.replace('_', '-')} {getattr(imported.workload, name)}" for name in imported.assumed)


def imported_lines(imported: Imported, given: frozenset[str], width: int) -> Iterator[Line]:
    """The program, the keys that were used and what they mean, and the keys that were not.

    Args:
        given: fields that options of the command line set instead.
    """
    yield from wrapped(line(f"{imported.source}: {imported.title}", "bold"), width)
    for fields in dict.fromkeys(used.fields for used in imported.used):
        said = ", ".join(f"{used.key}: {used.value}" for used in imported.used if used.fields == fields)
        yield from indented(wrapped(line(f"{said}{_meaning(imported, fields, given)}"), width - 2, hanging=2))
    rows = (
        (UNCOUNTED, imported.not_modelled, "yellow"),
        (UNKNOWN, imported.unknown, "yellow"),
        ("no effect on memory", imported.irrelevant, "dim"),
    )
    for title, keys, style in rows:
        if keys:
            yield from indented(wrapped(line(f"{title}: {', '.join(keys)}", style), width - 2, hanging=2))
    if imported.assumed:
        yield from indented(wrapped(line(f"{ASSUMED}: {_options(imported)}", "yellow"), width - 2, hanging=2))
    yield BLANK


def _meaning(imported: Imported, fields: tuple[str, ...], given: frozenset[str]) -> str:
    """The options that say the same as some keys."""
    meant = []
    for field in dict.fromkeys(fields):
        value = imported.model if field == "model" else _value(imported, field)
        name = field.replace("_", "-")
        said = {True: f"--{name}", False: f"--no-{name}"}[value] if isinstance(value, bool) else f"--{name} {value}"
        if field in given:
            meant.append(f"overridden by {said}")
        elif value is not None:
            meant.append(said)
    return f" = {' '.join(meant)}" if meant else ""


def _value(imported: Imported, field: str) -> str | bool | None:
    value = getattr(imported.workload if hasattr(imported.workload, field) else imported.plan, field)
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value) or None
    return value if value is None or isinstance(value, bool) else str(value)
