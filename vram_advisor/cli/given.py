"""Which fields of Workload and Plan the words of a command line set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from vram_advisor.domain.plan import Plan, Workload

FIELDS = frozenset(field.name for record in (Workload, Plan) for field in fields(record))


def given_fields(arguments: Sequence[str]) -> frozenset[str]:
    """Fields that are set by an option; a field at its default value is among them where it was typed.

    >>> sorted(given_fields(["check", "--micro-batch-size", "1", "--no-kv-offload", "--gpu=a100"]))
    ['kv_offload', 'micro_batch_size']
    """
    found = set()
    for word in arguments:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("-", "_")
            found.update({name, name.removeprefix("no_")} & FIELDS)
    return frozenset(found)
