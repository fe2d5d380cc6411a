"""Lists of what can be named: cards, models, and the rows behind options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.report.layout import Column, Line, line, table
from vram_advisor.units.bytes import GIB

if TYPE_CHECKING:
    from vram_advisor.report.choices import Choice
    from vram_advisor.sources.catalog_models import ModelRecord


def matching_gpus(gpus: Iterable[GpuSpec], words: Iterable[str]) -> tuple[GpuSpec, ...]:
    """The cards whose id, name, vendor or architecture contain every word."""
    wanted = tuple(words)
    return tuple(gpu for gpu in gpus if _has(wanted, gpu.id, gpu.name, gpu.vendor, gpu.architecture))


def matching_models(records: Iterable[ModelRecord], words: Iterable[str]) -> tuple[ModelRecord, ...]:
    """The models whose id, alias, repository, family or architecture contain every word."""
    wanted = tuple(words)
    return tuple(
        record
        for record in records
        if _has(wanted, record.id, *record.aliases, record.hf_repo, record.family, str(record.config["model_type"]))
    )


def gpu_lines(gpus: Iterable[GpuSpec], width: int) -> list[Line]:
    """Cards as a table."""
    columns = (
        Column("id"),
        Column("memory", "right"),
        Column("GB/s", "right", optional=2),
        Column("compute", "right", optional=3),
        Column("launched", "right", optional=4),
        Column("name", flexible=True, cut=True, optional=1),
    )
    rows = [
        (
            line(gpu.id, "bold"),
            line(f"{gpu.vram_bytes / GIB:.0f} GiB"),
            line(_number(gpu.bandwidth_gb_per_s)),
            line(gpu.compute_capability or gpu.gfx or "–"),
            line(gpu.launch_date or "–"),
            line(gpu.name, "dim"),
        )
        for gpu in gpus
    ]
    return table(columns, rows, width)


def model_lines(records: Iterable[ModelRecord], width: int) -> list[Line]:
    """Models as a table."""
    columns = (
        Column("id"),
        Column("parameters", "right"),
        Column("active", "right", optional=2),
        Column("repository", flexible=True, cut=True, optional=1),
        Column("also called", flexible=True, cut=True, optional=3),
    )
    rows = [
        (
            line(record.id, "bold"),
            line(_billions(record.parameters.total)),
            line(_billions(record.parameters.active) if record.parameters.active < record.parameters.total else ""),
            line(record.hf_repo, "dim"),
            line(" ".join(record.aliases), "dim"),
        )
        for record in records
    ]
    return table(columns, rows, width)


def choice_lines(rows: Iterable[Choice], width: int) -> list[Line]:
    """Values of an option with the evidence behind each."""
    columns = (
        Column("value"),
        Column("evidence"),
        Column("what it is", flexible=True),
        Column("source", flexible=True, optional=1),
    )
    cells = [(line(row.name, "bold"), line(row.evidence), line(row.title), line(row.source, "dim")) for row in rows]
    return table(columns, cells, width)


def schema_lines(width: int) -> list[Line]:
    """What ``schema NAME`` knows: JSON Schemas, and options whose values are rows of a table."""
    from vram_advisor.report.choices import TABLES, choices
    from vram_advisor.report.schema import DOCUMENTS

    rows = [(line(name, "bold"), line("JSON Schema"), line(each.summary)) for name, each in DOCUMENTS.items()]
    for field in TABLES:
        few = ", ".join(row.name for row in choices(field))
        rows.append((line(field.replace("_", "-"), "bold"), line("values"), line(few, "dim")))
    return table((Column("name"), Column("is"), Column("of", flexible=True)), rows, width)


def _normal(text: str) -> str:
    return "-".join(text.lower().replace("_", "-").replace("-", " ").split())


def _has(words: Iterable[str], *names: str) -> bool:
    """Whether each word stands in one of the names; separators and case do not matter."""
    normal = [_normal(name) for name in names]
    return all(any(_normal(word) in name for name in normal) for word in words)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _billions(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**9 else f"{count / 1e6:.0f} M"
