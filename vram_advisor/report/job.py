"""How fast, how long and what it costs, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vram_advisor.domain.throughput import RESOURCE_TITLES
from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.ranking import rate
from vram_advisor.report.sizes import percent

if TYPE_CHECKING:
    from vram_advisor.domain.job import PlannedJob
    from vram_advisor.domain.throughput import Span, Speed

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def speed_words(speed: Speed | None) -> str:
    """``446 (276–721) tokens/s``; empty where it is not known."""
    return "" if speed is None else f"{rate(speed.tokens_per_second)} tokens/s"


def speed_sentence(speed: Speed, trains: bool) -> str:
    """How fast the plan as asked is, and what limits it."""
    step = f", {duration(speed.seconds_per_step)} per optimizer step" if trains else " of generation"
    limit = RESOURCE_TITLES[speed.limit]
    return f"About {speed_words(speed)}{step}; what takes longest is {limit}."


def job_lines(planned: PlannedJob, width: int) -> Iterator[Line]:
    """The job as a table of figures with their 90 % intervals, then the lengths."""
    yield BLANK
    yield from wrapped((("The job", "bold"), (f", {job_title(planned)}", "")), width)
    cells = [(line(name), line(value, "bold"), line(note, "dim")) for name, value, note in job_rows(planned)]
    yield from indented(table((Column(), Column(), Column(flexible=True)), cells, width - 2))
    if said := lengths_sentence(planned):
        yield from indented(wrapped(line(said, "dim"), width - 2))


def job_title(planned: PlannedJob) -> str:
    """How often the data is seen, and by which plan."""
    return f"{planned.asked.epochs:g} epoch{'s' if planned.asked.epochs != 1 else ''}, {planned.plan}"


def job_rows(planned: PlannedJob) -> list[tuple[str, str, str]]:
    """Figures of the job: name, value with its interval, and what is to be known of it."""
    job = planned.job
    rows = [
        ("optimizer steps", f"{job.steps:,}", ""),
        ("tokens computed", f"{job.computed_tokens:,}", _padding(planned)),
        ("time", duration(job.seconds), ""),
    ]
    if job.kwh is not None:
        rows.append(("energy of the GPUs", f"{figure(job.kwh)} kWh", "the rest of the computer is not in it"))
    if job.cost is not None:
        rows.append(("money", f"{figure(job.cost)}{f' {job.currency}' if job.currency else ''}", _prices(planned)))
    return rows


def lengths_sentence(planned: PlannedJob) -> str:
    """How long the samples are; empty where no file was read."""
    lengths = planned.job.lengths
    if lengths is None:
        return ""
    steps = ", ".join(f"{p} % up to {length:,}" for p, length in lengths.percentiles)
    read = "" if planned.share >= 1 else f" The first {percent(planned.share, 1)} of the file were read."
    plural = "" if lengths.examples == 1 else "s"
    return (
        f"{lengths.examples:,} example{plural}, {lengths.tokens:,} tokens, counted {planned.counted}.{read} "
        f"Lengths: {steps} tokens."
    )


def _padding(planned: PlannedJob) -> str:
    share = planned.job.padding_share
    return f"{percent(share)} of them padding" if share >= 0.005 else ""


def _prices(planned: PlannedJob) -> str:
    asked = planned.asked
    said = []
    if asked.price_per_kwh is not None:
        said.append(f"{asked.price_per_kwh:g} per kWh")
    if asked.rent_per_hour is not None:
        said.append(f"{asked.rent_per_hour:g} per hour of rent")
    return "at " + " and ".join(said) if said else ""


def figure(span: Span) -> str:
    """``1.23 (0.9–1.7)``: three digits, the interval behind it."""
    low, mid, high = (float(value) for value in (span.low, span.mid, span.high))
    return f"{_digits(mid)} ({_digits(low)}–{_digits(high)})"


def duration(span: Span) -> str:
    """A time in the unit of its middle: ``2.1 (1.3–3.4) hours``."""
    low, mid, high = (float(value) for value in (span.low, span.mid, span.high))
    for size, name in ((DAY * 2, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if mid >= size:
            unit = DAY if name == "days" else size
            return f"{_digits(mid / unit)} ({_digits(low / unit)}–{_digits(high / unit)}) {name}"
    return f"{_digits(mid)} ({_digits(low)}–{_digits(high)}) s"


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
