"""Tables of the HTML page. Every size carries its bytes, so that a program can read what a person sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.estimate import Interval
from vram_advisor.report.formats.asked import FitMap
from vram_advisor.report.formats.map_picture import axis_title, value_title
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.numbers_picture import four_numbers
from vram_advisor.report.formats.options_picture import WORDS
from vram_advisor.report.formats.timeline_picture import phase_name
from vram_advisor.report.sizes import percent, size
from vram_advisor.report.vendor import NVIDIA, Terms, terms

UNKNOWN = "–"


def folded(parent: Element, summary: str) -> Element:
    """What is shown when a person asks for it; works without JavaScript."""
    details = node(parent, "details")
    node(details, "summary", summary)
    return node(details, "div", class_="scroll", tabindex="0", role="region", aria_label=summary)


def options_rows(parent: Element, answer: Answer) -> None:
    """The four numbers of every option with their intervals."""
    meter = terms(answer.device).meter
    body = _table(parent, ["option", "number", "middle", "90 % from", "to"])
    for option in answer.options:
        for name, _, number in four_numbers(option, meter):
            row = node(body, "tr")
            node(row, "td", option.title)
            node(row, "td", name)
            _interval(row, number)
    body = _table(parent, ["option", "verdict", "spare", "likely", "peak at", "in the computer's memory"])
    for option in answer.options:
        _verdict(node(body, "tr"), option)


def component_rows(parent: Element, option: Option, said: Terms) -> None:
    """Every component: when it is there, how much it is, and the products that it is the sum of."""
    everywhere = {phase.phase for phase in option.estimate.phases}
    body = _table(parent, ["part", "size", "90 % from", "to", "while", "as computed"])
    peak = option.estimate.peak.phase
    for component in sorted(option.estimate.components, key=lambda c: (peak not in c.alive, -abs(c.nbytes))):
        row = node(body, "tr")
        node(row, "td", component.label.replace(NVIDIA.blas, said.blas))
        _interval(row, component.bytes)
        alive = set(component.alive)
        node(row, "td", "always" if everywhere <= alive else ", ".join(map(phase_name, component.alive)))
        node(row, "td", component.formula)


def map_rows(parent: Element, found: FitMap) -> None:
    """Every cell of the map."""
    body = _table(parent, [axis_title(found.rows), axis_title(found.columns), "verdict", "needs"])
    for cell in found.cells:
        row = node(body, "tr")
        node(row, "td", value_title(found.rows.values[cell.row]))
        node(row, "td", value_title(found.columns.values[cell.column]))
        outcome = cell.outcome
        node(row, "td", "refused" if outcome is None else WORDS[outcome], class_=outcome)
        size_cell(row, cell.minimum_bytes)


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
    node(row, "td", UNKNOWN if verdict.probability is None else percent(verdict.probability, 1), class_="number")
    node(row, "td", phase_name(option.estimate.peak.phase))
    size_cell(row, option.estimate.host_bytes)


def _interval(row: Element, interval: Interval) -> None:
    for nbytes in (interval.mid, interval.low, interval.high):
        size_cell(row, nbytes)


def _table(parent: Element, headings: Sequence[str]) -> Element:
    table = node(parent, "table")
    row = node(node(table, "thead"), "tr")
    for heading in headings:
        node(row, "th", heading, scope="col", class_="number" if heading in NUMBERS else None)
    return node(table, "tbody")


NUMBERS: Iterable[str] = ("middle", "90 % from", "to", "size", "needs", "spare", "likely", "in the computer's memory")
"""Headings of columns of numbers."""
