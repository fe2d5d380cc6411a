"""The fit map: what a card can do over two sizes of the question, one whole answer per cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from vram_advisor.advice.options import smaller_caches
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.estimate import Outcome
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.report.words import shown
from vram_advisor.units.errors import AdvisorError

BATCHES = (1, 2, 4, 8, 16, 32)
LENGTHS = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)


@dataclass(frozen=True, slots=True)
class Axis:
    """Values that one or more fields take together."""

    title: str
    fields: tuple[str, ...]
    values: tuple[Any, ...]
    at: int
    """Which of them is what is asked."""

    def set(self, index: int) -> dict[str, Any]:
        """The fields with one of the values."""
        return dict.fromkeys(self.fields, self.values[index])


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination; None: it is refused."""

    row: int
    column: int
    outcome: Outcome | None
    minimum_bytes: int | None
    """Middle of the minimum to run [B]."""


def axes(workload: Workload, plan: Plan, resolved: Plan) -> tuple[Axis, Axis]:
    """Rows and columns: length and batch of a fine-tune, context and type of the cache at inference.

    Args:
        workload: what is asked.
        plan: with what.
        resolved: the same with every choice made.
    """
    if workload.trains:
        return (
            _axis("sequence_length", LENGTHS, workload.sequence_length),
            _axis("micro_batch_size", BATCHES, workload.micro_batch_size),
        )
    rows = _axis("context_length", CONTEXTS, workload.context_length)
    smaller = tuple(name for name, _, _ in smaller_caches(replace(resolved, cache_type_k=None, cache_type_v=None)))
    types = tuple(dict.fromkeys((None, *smaller, plan.cache_type_k)))
    if len(types) > 1:
        return rows, Axis("KV cache", ("cache_type_k", "cache_type_v"), types, types.index(plan.cache_type_k))
    return rows, _axis("num_sequences", BATCHES, workload.num_sequences)


def cells(rows: Axis, columns: Axis, ask: Callable[[dict[str, Any]], Answer]) -> Iterator[Cell]:
    """Every cell, row by row.

    Args:
        rows, columns: from ``axes``.
        ask: the answer for values of fields; raises AdvisorError where there is none.
    """
    for i in range(len(rows.values)):
        for j in range(len(columns.values)):
            try:
                option = shown(ask(rows.set(i) | columns.set(j)))
            except AdvisorError:
                yield Cell(i, j, None, None)
                continue
            yield Cell(i, j, option.verdict.outcome, option.estimate.peak.minimum_bytes.mid)


def fixed_fields(answer: Answer) -> dict[str, Any]:
    """The fields that set the shown option apart from the others that are compared."""
    plans = [vars(option.plan) for option in answer.options]
    differing = [name for name in plans[0] if len({plan[name] for plan in plans}) > 1]
    if "quantization" in differing:
        # What else differs follows from the storage format.
        differing = ["quantization"]
    plan = shown(answer).plan
    return {name: getattr(plan, name) for name in differing}


def _axis(field: str, usual: tuple[int, ...], asked: int) -> Axis:
    values = tuple(sorted({*usual, asked}))
    return Axis(field, (field,), values, values.index(asked))
