"""References of a document to its own keys, ``${output_dir}/logs``, as OmegaConf reads them."""

from __future__ import annotations

import re
from typing import Any

from vram_advisor.exchange.keys import Document
from vram_advisor.units.errors import BadInput

REFERENCE = re.compile(r"\$\{([^${}]{1,200})\}")
DEEPEST, LONGEST = 20, 1000
"""References from one to the next, and characters of what they make."""


def referred(document: Document) -> frozenset[str]:
    """Keys that others refer to."""
    texts = [value for value in document.values() if isinstance(value, str)]
    return frozenset(name for text in texts for name in REFERENCE.findall(text))


def resolved(document: Document) -> Document:
    """A document whose references to other keys, ``${output_dir}/logs``, are their values (OmegaConf).

    Raises:
        BadInput: a reference leads to itself, or to nothing.
    """
    values = dict(document)
    for _ in range(DEEPEST):
        found = {key: value for key, value in values.items() if isinstance(value, str) and REFERENCE.search(value)}
        if not found:
            return values
        for key, text in found.items():
            whole = REFERENCE.fullmatch(text)
            if whole:
                values[key] = _target(values, key, whole[1])
            else:
                values[key] = REFERENCE.sub(lambda m, key=key: str(_target(values, key, m[1])), text)[:LONGEST]  # type: ignore[misc]
    key, text = next(iter(found.items()))
    raise BadInput(f"{key}: {text[:60]}: its references lead back to itself.")


def _target(values: Document, key: str, name: str) -> Any:
    if name in values:
        return values[name]
    if ":" in name:
        # a function of OmegaConf, such as the environment, whose value is not in the file
        return None
    raise BadInput(f"{key}: ${{{name}}} refers to a key that is not in the file.")
