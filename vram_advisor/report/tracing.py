"""A trace for a terminal: what it is, a bar for each phase, the parts of the peak, and the closed form beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vram_advisor.report.bar import PHASE_NAMES, SHORTEST_BAR, cells
from vram_advisor.report.layout import BLANK, Column, Line, Span, flow, indented, line, table, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import size
from vram_advisor.units.bytes import GIB, gib

if TYPE_CHECKING:
    from vram_advisor.domain.trace import Compared, Trace, TraceAnswer

CATEGORY_TITLES = {"optimizer": "optimizer state"}
"""Categories in a word or two; another one is written as it is called."""


def trace_lines(answer: TraceAnswer, look: Look, width: int, compared: bool) -> Iterator[Line]:
    """The trace from top to bottom; with ``compared`` the closed form beside it."""
    trace, peak = answer.trace, answer.trace.peak
    yield from wrapped(line(_title(answer), "bold"), width)
    yield BLANK
    where = PHASE_NAMES.get(peak.phase, peak.phase)
    yield from wrapped(
        (
            (f"{gib(peak.allocated_bytes)} allocated at the peak", "bold peak"),
            (f", which is at: {where}. {_how(trace)}", ""),
        ),
        width,
    )
    if trace.reserved_bytes is not None:
        reserved = f"{gib(trace.reserved_bytes)} reserved by a simulated caching allocator."
        yield from wrapped(line(reserved), width)
    yield BLANK
    yield line("When: phase by phase, allocated", "bold")
    yield from indented(stacked_phases(trace, look, width - 2))
    if compared:
        yield BLANK
        yield from _comparison(answer, width)
    for note in trace.notes:
        yield BLANK
        yield from wrapped(line(f"- {note}", "warning"), width, hanging=2)


def stacked_phases(trace: Trace, look: Look, width: int) -> list[Line]:
    """One stacked bar per phase, its parts in the order of the legend, the worst marked."""
    most = trace.peak.allocated_bytes
    categories = _categories(trace)
    names = [PHASE_NAMES.get(phase.phase, phase.phase) for phase in trace.phases]
    room = width - max(map(len, names)) - len(f"  {size(most)}    {look.here} peak")
    rows = []
    for name, phase in zip(names, trace.phases, strict=True):
        worst = phase is trace.peak
        bar: Line = ()
        if room >= SHORTEST_BAR:
            bar = _bar(phase.by_category, categories, max(1, round(room * phase.allocated_bytes / most)), look)
        rows.append(
            (
                line(name, "bold" if worst else ""),
                line(size(phase.allocated_bytes), "bold" if worst else ""),
                bar,
                line(f"{look.here} peak", "bold peak") if worst else (),
            )
        )
    drawn = table((Column(flexible=True), Column(side="right"), Column(), Column()), rows, width)
    legend = []
    for part, category in enumerate(categories):
        glyph, style = look.segment("part", part)
        title = CATEGORY_TITLES.get(category, category)
        legend.append(((glyph, style), (f" {title} {size(trace.peak.by_category.get(category, 0))}", "")))
    return drawn + flow(legend, width)


def _categories(trace: Trace) -> list[str]:
    """Categories that any phase has, the largest of the peak first."""
    found = {category for phase in trace.phases for category, nbytes in phase.by_category.items() if nbytes}
    return sorted(found, key=lambda category: (-trace.peak.by_category.get(category, 0), category))


def _bar(parts: dict[str, int], categories: Sequence[str], width: int, look: Look) -> Line:
    present = [(i, category) for i, category in enumerate(categories) if parts.get(category)]
    if width < len(present):
        present = sorted(present, key=lambda entry: -parts[entry[1]])[:width]
    shares = cells([parts[category] for _, category in present], width)
    spans: list[Span] = []
    for (i, _), count in zip(present, shares, strict=True):
        glyph, style = look.segment("part", i)
        spans.append((glyph * count, style))
    return tuple(spans)


def _title(answer: TraceAnswer) -> str:
    plan, workload = answer.plan, answer.workload
    return (
        f"{answer.model}, {workload.method}, {plan.quantization}, {workload.micro_batch_size} × "
        f"{workload.sequence_length:,} tokens: traced as {answer.recipe.title} runs it"
    )


def _how(trace: Trace) -> str:
    layers = " and ".join(f"{depth}" for depth in trace.depths)
    extended = " layers, extended to all of them" if len(trace.depths) > 1 else " layers, all there are"
    device = "CUDA tensors" if trace.device == "cuda" else "CPU tensors with the habits of CUDA"
    return (
        f"The real training code ran on {layers}{extended}, with {device} that have no memory: "
        f"{trace.seconds:.0f} s, {trace.host_bytes / GIB:.1f} GiB of this computer."
    )


def _comparison(answer: TraceAnswer, width: int) -> Iterator[Line]:
    yield line("The closed form beside it", "bold")
    if answer.refused is not None:
        yield from indented(wrapped(line(f"The closed form has no answer: {answer.refused}", "warning"), width - 2))
        return
    names = [PHASE_NAMES.get(row.name, row.name) for row in answer.phases]
    yield from indented(_table("phase", names, answer.phases, width - 2))
    yield BLANK
    yield line("Part by part, at the peak of the trace", "bold")
    yield from indented(_table("part", [row.name for row in answer.components], answer.components, width - 2))


def _table(heading: str, names: Sequence[str], rows: Sequence[Compared], width: int) -> list[Line]:
    columns = (
        Column(heading, flexible=True),
        Column("closed form", "right"),
        Column("trace", "right"),
        Column("difference", "right"),
        Column("", "right", optional=1),
    )
    cells_of = []
    for name, row in zip(names, rows, strict=True):
        difference = row.formula_bytes - row.trace_bytes
        share = f"{100 * difference / row.trace_bytes:+.2f} %" if row.trace_bytes else ""
        cells_of.append(
            (
                line(name),
                line(size(row.formula_bytes)),
                line(size(row.trace_bytes)),
                line(f"{'-' if difference < 0 else '+'}{size(abs(difference))}" if difference else "none"),
                line(share, "dim"),
            )
        )
    return table(columns, cells_of, width)
