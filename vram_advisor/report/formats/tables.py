"""Tables of the HTML page. Every size carries its bytes, so that a program can read what a person sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.estimate import Interval
from vram_advisor.report.formats.asked import FitMap
from vram_advisor.report.formats.map_picture import LETTERS, axis_title, value_title
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.numbers_picture import four_numbers
from vram_advisor.report.formats.options_picture import WORDS
from vram_advisor.report.formats.timeline_picture import phase_name
from vram_advisor.report.sizes import percent, size
from vram_advisor.report.vendor import NVIDIA, Terms, terms
from vram_advisor.report.words import CERTAIN
from vram_advisor.units.bytes import gib

UNKNOWN = "–"


def folded(parent: Element, summary: str) -> Element:
    """What is shown when a person asks for it; works without JavaScript."""
    details = node(parent, "details")
    node(details, "summary", summary)
    return node(details, "div", class_="scroll", tabindex="0", role="region", aria_label=summary)


def options_rows(parent: Element, answer: Answer) -> None:
    """The four numbers of every option with their intervals."""
    meter = terms(answer.device).meter
    body = table_body(parent, ["option", "number", "middle", "90 % from", "to"])
    for option in answer.options:
        for name, _, number in four_numbers(option, meter):
            row = node(body, "tr")
            node(row, "td", option.title)
            node(row, "td", name)
            _interval(row, number)
    body = table_body(parent, ["option", "verdict", "spare", "likely", "peak at", "on the host"])
    for option in answer.options:
        _verdict(node(body, "tr"), option)


def component_rows(parent: Element, option: Option, said: Terms) -> None:
    """Every component: when it is there, how much it is, and the products that it is the sum of."""
    body = table_body(parent, ["part", "size", "90 % from", "to", "while", "as computed"], "roomy")
    peak, phases = option.estimate.peak.phase, [phase.phase for phase in option.estimate.phases]
    for component in sorted(option.estimate.components, key=lambda c: (peak not in c.alive, -abs(c.nbytes))):
        row = node(body, "tr")
        node(row, "td", component.label.replace(NVIDIA.blas, said.blas))
        _interval(row, component.bytes)
        node(row, "td", alive_words(phases, component.alive))
        node(row, "td", component.formula)


def alive_words(phases: Sequence[str], alive: Sequence[str]) -> str:
    """The phases of a component, those that follow each other by the first and the last.

    >>> alive_words(["load", "forward", "loss_forward", "save"], ["load", "forward", "loss_forward"])
    'loading the model to computing the loss'
    """
    here = [i for i, phase in enumerate(phases) if phase in alive]
    if len(here) == len(phases):
        return "always"
    runs: list[list[int]] = []
    for i in here:
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return "; ".join(" to ".join(phase_name(phases[i]) for i in dict.fromkeys((run[0], run[-1]))) for run in runs)


def map_rows(parent: Element, found: FitMap) -> None:
    """Every cell of the map, where it stands on the picture."""
    node(parent, "p", f"{axis_title(found.columns)}, from left to right:")
    body = table_body(parent, [axis_title(found.rows), *map(value_title, found.columns.values)])
    for i, value in enumerate(found.rows.values):
        row = node(body, "tr")
        node(row, "th", value_title(value), scope="row")
        for cell in found.cells:
            if cell.row != i:
                continue
            if cell.outcome is None or cell.minimum_bytes is None:
                node(row, "td", "refused")
            else:
                entry = node(row, "td", f"{LETTERS[cell.outcome]} ", class_=f"{cell.outcome} whole")
                node(entry, "data", gib(cell.minimum_bytes, 1), value=str(cell.minimum_bytes))


def size_cell(row: Element, nbytes: int | None) -> None:
    """A size with its bytes."""
    cell = node(row, "td", class_="number")
    if nbytes is None:
        cell.text = UNKNOWN
    else:
        node(cell, "data", size(nbytes), value=str(nbytes))


def _verdict(row: Element, option: Option) -> None:
    verdict = option.verdict
    node(row, "td", option.title)
    node(row, "td", WORDS[verdict.outcome], class_=verdict.outcome)
    size_cell(row, verdict.headroom_bytes)
    node(row, "td", _likely(verdict.probability), class_="number")
    node(row, "td", phase_name(option.estimate.peak.phase))
    size_cell(row, option.estimate.host_bytes)


def _likely(probability: float | None) -> str:
    """A probability, whose ends are not told apart."""
    if probability is None:
        return UNKNOWN
    if probability > CERTAIN:
        return f"over {percent(CERTAIN, 1)}"
    return f"under {percent(1 - CERTAIN, 1)}" if probability < 1 - CERTAIN else percent(probability, 1)


def _interval(row: Element, interval: Interval) -> None:
    for nbytes in (interval.mid, interval.low, interval.high):
        size_cell(row, nbytes)


def table_body(parent: Element, headings: Sequence[str], style: str | None = None) -> Element:
    """A table with its headings; its empty body."""
    table = node(parent, "table", class_=style)
    row = node(node(table, "thead"), "tr")
    for heading in headings:
        node(row, "th", heading, scope="col", class_="number" if heading in NUMBERS else None)
    return node(table, "tbody")


NUMBERS: Iterable[str] = (
    "middle",
    "90 % from",
    "to",
    "size",
    "needs",
    "spare",
    "likely",
    "on the host",
    "time",
    "asked",
    "largest",
)
"""Headings of columns of numbers."""
