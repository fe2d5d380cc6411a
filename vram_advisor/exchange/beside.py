"""Files that another file names: DeepSpeed's and Accelerate's configurations, read where they lie beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vram_advisor.domain.imported import Imported, Used
from vram_advisor.exchange.documents import flatten, parse_mapping, text_of
from vram_advisor.exchange.keys import Document
from vram_advisor.exchange.programs import program_named
from vram_advisor.exchange.reading import read

Beside = Callable[[str], bytes | None]
"""The content of a file by the name that another file gives it; None where it is not at hand."""
DEEPSPEED = "deepspeed"
SHARED = ("num_gpus", "sharding", "offload", "gradient_checkpointing")
"""Fields of a run that the file of a launcher decides."""


def nothing_beside(name: str) -> bytes | None:
    """No file is at hand."""
    return None


def with_deepspeed(document: Document, beside: Beside) -> Document:
    """A document with the content of DeepSpeed's file in the place of its name, where that is at hand.

    Raises:
        BadInput: it is no configuration.
    """
    name = document.get(DEEPSPEED)
    content = beside(name) if isinstance(name, str) else None
    if content is None:
        return document
    inner = flatten(parse_mapping(text_of(content, str(name)), str(name)), str(name))
    kept = {key: value for key, value in document.items() if key != DEEPSPEED}
    return kept | {f"{DEEPSPEED}.{key}": value for key, value in inner.items()}


def launched(imported: Imported, name: str, beside: Beside) -> Imported | None:
    """A run as Accelerate's file shares it among cards; None where that file is not at hand.

    Raises:
        BadInput, NotModelled: it is no configuration of Accelerate, or of a run that is not estimated.
    """
    content = beside(name)
    if content is None:
        return None
    document = flatten(parse_mapping(text_of(content, name), name), name)
    found = read(program_named("accelerate", "--config_file"), document, name)
    plan, used = imported.plan, list(imported.used)
    said = {field for entry in imported.used for field in entry.fields}
    for entry in found.used:
        fields = tuple(field for field in entry.fields if field in SHARED and field not in said)
        if fields:
            plan = replace(plan, **{field: getattr(found.plan, field) for field in fields})
            used.append(Used(f"{name} {entry.key}", entry.value, fields))
    return replace(
        imported,
        plan=plan,
        used=tuple(used),
        not_modelled=(*imported.not_modelled, *(f"{name} {key}" for key in found.not_modelled)),
        unknown=(*imported.unknown, *(f"{name} {key}" for key in found.unknown)),
    )
