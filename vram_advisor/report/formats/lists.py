"""Lists of cards and models as CSV, with every value of the JSON, and as Markdown, with those that people compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vram_advisor.report.formats.csv_rows import csv_text, rows_of
from vram_advisor.report.formats.markdown import table
from vram_advisor.units.bytes import gib

MISSING = "–"
Written = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a Markdown table."""

    heading: str
    key: str
    written: Written = str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of a document."""

    key: str
    """Of the list in the document."""
    columns: tuple[Shown, ...]
    spans: tuple[str, ...] = ()
    """Fields that are an interval or nothing."""


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _billions(value: int) -> str:
    return f"{value / 1e9:.2f} B" if value >= 10**9 else f"{value / 1e6:.0f} M"


def _rate(value: Mapping[str, float]) -> str:
    digits = 0 if value["mid"] >= 10 else 1
    return f"{value['mid']:,.{digits}f} ({value['low']:,.{digits}f}–{value['high']:,.{digits}f})"


def _times(value: float) -> str:
    return f"{value:.2f}"


CARDS = Listed(
    "gpus",
    (
        Shown("id", "id"), Shown("memory", "vram_bytes", gib, True), Shown("GB/s", "bandwidth_gb_per_s", _count, True),
        Shown("compute", "compute_capability"), Shown("launched", "launch_date"), Shown("name", "name"),
    ),
)  # fmt: skip
MODELS = Listed(
    "models",
    (
        Shown("id", "id"), Shown("parameters", "parameters", _billions, True),
        Shown("active", "active_parameters", _billions, True), Shown("context", "context_length", _count, True),
        Shown("repository", "hf_repo"), Shown("licence", "licence"),
    ),
)  # fmt: skip
FITTING = Listed(
    "models",
    (
        Shown("model", "id"), Shown("parameters", "parameters", _billions, True), Shown("stored as", "title"),
        Shown("needs", "need_bytes", gib, True), Shown("verdict", "outcome"), Shown("longest", "longest", _count, True),
    ),
)  # fmt: skip
RANKING = Listed(
    "cards",
    (
        Shown("card", "id"), Shown("memory", "total_bytes", gib, True), Shown("needs", "need_bytes", gib, True),
        Shown("spare", "headroom_bytes", gib, True), Shown("verdict", "outcome"),
        Shown("tokens/s (90 %)", "tokens_per_second", _rate, True), Shown("times as fast", "times_as_fast", _times, True),
        Shown("W", "power_w", _count, True), Shown("USD at launch", "list_price_usd", _count, True),
    ),
    ("tokens_per_second",),
)  # fmt: skip
LOCAL = Listed(
    "models",
    (
        Shown("model", "name"), Shown("store", "store"), Shown("type", "file_type"), Shown("size", "size_bytes", gib, True),
        Shown("needs", "need_bytes", gib, True), Shown("verdict", "outcome"),
        Shown("longest context", "longest_context", _count, True),
    ),
)  # fmt: skip


def list_csv(document: Mapping[str, Any], listed: Listed) -> str:
    """A row for each record."""
    return csv_text(rows_of(document, listed.key, listed.spans))


def list_markdown(document: Mapping[str, Any], listed: Listed) -> str:
    """A table."""
    columns: Sequence[Shown] = listed.columns
    rows = [
        [MISSING if record[column.key] is None else column.written(record[column.key]) for column in columns]
        for record in document[listed.key]
    ]
    return table([c.heading for c in columns], rows, [c.heading for c in columns if c.number]) + "\n"
