"""The whole answer of ``check`` for a terminal, from the verdict to the fine print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.bar import memory_bar, phase_bars
from vram_advisor.report.calibration_words import rests_on
from vram_advisor.report.explain import explained
from vram_advisor.report.layout import BLANK, NBSP, Line, Span, indented, line, plain, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.table import components_table, options_table
from vram_advisor.report.vendor import terms
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from datetime import datetime

WIDEST = 110
"""Longer lines are hard to read."""
NEXT = "NEXT"
UNITS = ("GiB", "MiB", "KiB", "%")
"""They stay on the line of their number."""
LEGEND = {
    "allocated": "live tensors.",
    "reserved": "with the allocator's slack.",
    "process": "what {meter} shows.",
    "minimum": "where out-of-memory begins; the verdict compares it with the free memory.",
}
"""What the columns are; of those that are shown."""


def answer_lines(
    answer: Answer, look: Look, width: int, explain: bool = False, now: datetime | None = None
) -> Iterator[Line]:
    """The answer from top to bottom; ``now``: the time, UTC, for ages instead of dates."""
    width = min(width, WIDEST)
    inner = width - 2
    option, said = words.shown(answer), terms(answer.device)
    yield from wrapped(line(words.title(answer), "bold"), width)
    yield BLANK
    yield from _verdict(answer, width)
    yield from _section(_bar_heading(answer, option), memory_bar(option, answer.device, look, inner), width)
    options = options_table(answer, look, inner)
    yield from _section(_options_heading(answer), options, width)
    yield from indented(wrapped(line(_legend(plain(options[0]), said.meter), "dim"), inner))
    yield from _section(
        f"Where the memory goes: {option.title} at its peak", components_table(option, inner, said), width
    )
    yield from _section(f"When: {option.title} phase by phase, allocated", phase_bars(option, look, inner), width)
    if explain:
        yield from _section(f"Every product behind {option.title}", explained(option, inner, said), width)
    yield from _section("Assumed", _items((*answer.assumptions, rests_on(answer, now)), "", inner), width)
    if answer.warnings:
        yield from _section("Warnings", _items(answer.warnings, "warning", inner), width)


def _legend(headings: str, meter: str) -> str:
    known = [f"{name}: {text.format(meter=meter)}" for name, text in LEGEND.items() if name in headings]
    return " ".join([*known, "Below each figure its 90 % interval."])


def _verdict(answer: Answer, width: int) -> Iterator[Line]:
    said = words.verdict(answer)
    badge = (said.badge, f"bold {said.outcome}")
    margin = max(len(said.badge), len(NEXT)) + 2
    yield from _labelled(badge, said.text, margin, width)
    if details := words.details(answer):
        yield from _labelled(("", ""), details, margin, width)
    for i, step in enumerate(words.next_steps(answer)):
        yield from _labelled(("" if i else NEXT, "bold"), step, margin, width)


def _labelled(label: Span, text: str, margin: int, width: int) -> Iterator[Line]:
    """A paragraph with a word in its margin."""
    for unit in UNITS:
        text = text.replace(f" {unit}", NBSP + unit)
    for i, spans in enumerate(wrapped(line(text), width - margin)):
        word, style = label if i == 0 else ("", "")
        yield ((word.ljust(margin), style), *spans)


def _options_heading(answer: Answer) -> str:
    each = answer.options[0].plan.num_gpus > 1
    return ("The options compared" if len(answer.options) > 1 else "The four numbers") + (", per GPU" if each else "")


def _bar_heading(answer: Answer, option: Option) -> str:
    if answer.device is None:
        return f"{option.title} at its peak: {gib(option.estimate.minimum_mean)}"
    return f"{option.title} at its peak on the {gib(answer.device.total_bytes)} of {answer.device.name}"


def _section(heading: str, body: Iterable[Line], width: int) -> Iterator[Line]:
    yield BLANK
    # In one span where it fits; only what is wrapped is cut into words.
    yield from [line(heading, "bold")] if len(heading) <= width else wrapped(line(heading, "bold"), width)
    yield from indented(body)


def _items(items: Iterable[str], style: str, width: int) -> Iterator[Line]:
    for item in items:
        yield from wrapped(line(f"- {item}", style), width, hanging=2)
