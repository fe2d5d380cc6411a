"""Options whose values are the rows of a table, for help texts, schemas and forms.

The table is the only place that lists them: a new row appears everywhere at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vram_advisor.domain.kernels import ATTENTION, LOSSES
from vram_advisor.domain.optimizer import OPTIMIZERS
from vram_advisor.domain.quantization import QUANTIZATIONS, SHORT_NAMES, Evidence
from vram_advisor.domain.recipe import RECIPES


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Choice:
    """One value of an option and what is known about it."""

    name: str
    title: str
    evidence: Evidence
    """traced, measured, or read in source."""
    source: str


TABLES: dict[str, Mapping[str, Any]] = {
    "recipe": RECIPES,
    "quantization": QUANTIZATIONS,
    "optimizer": OPTIMIZERS,
    "attn_implementation": ATTENTION,
    "loss": LOSSES,
}
"""For each such field of ``Plan``, its table."""


def choices(field: str) -> tuple[Choice, ...]:
    """The rows of one field's table."""
    return tuple(
        Choice(name, getattr(row, "title", name), row.evidence, row.source) for name, row in TABLES[field].items()
    )


def names(field: str) -> list[str]:
    """What may be written for a field: short names first."""
    short = list(SHORT_NAMES) if field == "quantization" else []
    return list(dict.fromkeys([*short, *TABLES[field]]))
