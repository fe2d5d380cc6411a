"""The JSON of what was understood of another program's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from vram_advisor.domain.imported import Imported


class UsedKeyDocument(TypedDict):
    """One key that the answer rests on."""

    key: str
    value: str
    """As the file has it."""
    fields: list[str]
    """Fields of workload and plan that follow from it; model where it names the model."""


class ImportedDocument(TypedDict):
    """What ``--config`` read."""

    program: str
    source: str
    """The file."""
    model: str | None
    used: list[UsedKeyDocument]
    irrelevant: list[str]
    """Keys without effect on memory."""
    not_modelled: list[str]
    """Keys that do change memory, by an amount that is not in the answer."""
    unknown: list[str]
    """Keys that are not known to this program."""


def imported_document(imported: Imported | None) -> ImportedDocument | None:
    """What was read as a plain dictionary; null without a file."""
    if imported is None:
        return None
    return {
        "program": imported.program,
        "source": imported.source,
        "model": imported.model,
        "used": [{"key": used.key, "value": used.value, "fields": list(used.fields)} for used in imported.used],
        "irrelevant": list(imported.irrelevant),
        "not_modelled": list(imported.not_modelled),
        "unknown": list(imported.unknown),
    }
