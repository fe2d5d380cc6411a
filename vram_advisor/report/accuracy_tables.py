"""How well measurements are predicted, as tables: the means first, then each source, then what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.sizes import percent

if TYPE_CHECKING:
    from vram_advisor.accuracy.metrics import Figures
    from vram_advisor.accuracy.score import Report

LEGEND = (
    "median, p90: absolute error beyond what the printed figure resolves. bias: mean of predicted less measured. "
    "under: share of rows predicted more than 10 % too low. inside: share inside the 90 % interval, which should be "
    "about 90 %. q: A and B as the ledger grades a row, C where a log leaves out a setting that decides the figure."
)
HEADINGS = {"rows": 1, "median": 0, "p90": 4, "bias": 6, "under": 5, "inside": 2}
"""Columns of figures; on a narrow screen the highest number goes first."""


def accuracy_lines(report: Report, width: int) -> Iterator[Line]:
    """Means per meter, figures per source, refused rows by reason."""
    figures = tuple(Column(heading, "right", optional=order) for heading, order in HEADINGS.items())
    if report.macro:
        yield from wrapped(line("Mean over sources with at least five rows of quality A", "bold"), width)
        columns = (Column("meter"), Column("sources", "right", optional=3), *figures)
        rows = [(line(m.meter, "bold"), line(str(m.sources)), *_cells(m.figures)) for m in report.macro]
        yield from indented(table(columns, rows, width - 2))
        yield BLANK
    if report.programs:
        yield from wrapped(line("Inference by program, rows that determine the figure", "bold"), width)
        columns = (Column("program"), Column("meter"), *figures)
        rows = [(line(p.program, "bold"), line(p.meter), *_cells(p.figures)) for p in report.programs]
        yield from indented(table(columns, rows, width - 2))
        yield BLANK
    if report.groups:
        yield line("Each source", "bold")
        columns = (Column("method"), Column("meter"), Column("q", optional=3), *figures)
        cells = [(line(g.method), line(g.meter), line(g.quality), *_cells(g.figures)) for g in report.groups]
        heading, *rows_of = table(columns, cells, width - 4)
        yield from indented([heading], 4)
        before = None
        for group, row in zip(report.groups, rows_of, strict=True):
            if group.source != before:
                yield from indented([line(group.source, "bold")])
            before = group.source
            yield from indented([row], 4)
        yield from indented(wrapped(line(LEGEND, "dim"), width - 2))
    if report.refused:
        yield BLANK
        yield line(f"Refused: {_rows(len(report.refused))}", "bold")
        reasons = Counter(refusal.reason for refusal in report.refused)
        counted = [(line(str(count)), line(reason)) for reason, count in reasons.most_common()]
        yield from indented(table((Column("rows", "right"), Column("reason", flexible=True)), counted, width - 2))
    if report.unmetered:
        yield BLANK
        yield from wrapped(line(f"Without a meter, so not scored: {_rows(len(report.unmetered))}", "bold"), width)


def _cells(figures: Figures) -> tuple[Line, ...]:
    return (
        line(str(figures.rows)),
        line(_error(figures.median_abs_error)),
        line(_error(figures.p90_abs_error)),
        line(f"{100 * figures.bias:+.1f} %"),
        line(percent(figures.under_10)),
        line(percent(figures.coverage_90)),
    )


def _error(share: float) -> str:
    return percent(share, 1 if share >= 0.01 else 2)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
