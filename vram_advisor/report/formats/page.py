"""The HTML report: one file that needs nothing else, a picture first and the fine print last."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.calibration_words import rests_on
from vram_advisor.report.formats.asked import FitMap
from vram_advisor.report.formats.map_picture import LETTERS, map_picture
from vram_advisor.report.formats.markup import html, node
from vram_advisor.report.formats.memory_picture import memory_picture
from vram_advisor.report.formats.numbers_picture import numbers_picture
from vram_advisor.report.formats.options_picture import MARKS, WORDS, options_picture
from vram_advisor.report.formats.page_parts import (
    ASIDE,
    code,
    ending,
    figures,
    items,
    key,
    page,
    section,
    unbroken,
    with_options,
)
from vram_advisor.report.formats.parts import available, kind_order, needed, remaining
from vram_advisor.report.formats.tables import component_rows, folded, map_rows, options_rows
from vram_advisor.report.formats.timeline_picture import phase_name, timeline_picture
from vram_advisor.report.ranking import asked_words
from vram_advisor.report.sizes import size
from vram_advisor.report.vendor import terms


def html_report(answer: Answer, command: str, found: FitMap | None, remarks: tuple[str, ...] = ()) -> str:
    """The whole page.

    Args:
        answer: what is shown.
        command: the command line that makes the page again.
        found: the fit map; None: there is none.
        remarks: what else is to be known, beside the warnings of the answer.
    """
    option = words.shown(answer)
    root, main = page(words.title(answer))
    _title(main, answer)
    _verdict(main, answer, option)
    _next(main, answer)
    left, right = node(main, "div", class_="column"), node(main, "div", class_="column")
    several = len(answer.options) > 1
    if several:
        picture = options_picture(answer.options, answer.device, answer.recommended, kind_order(option))
        section(left, "The options, side by side").append(picture)
    if found is not None:
        _map(left, found, answer)
    _timeline(right, option)
    _numbers(right if several else left, answer, option)
    items(section(left if several else right, "Assumed", "late"), (*answer.assumptions, rests_on(answer)))
    if known := (*answer.warnings, *remarks):
        items(section(right, "Worth knowing", "late"), known)
    card = section(main, "Where every byte goes", "wide last")
    for each in answer.options:
        component_rows(folded(card, f"{each.title}: {len(each.estimate.components)} parts"), each, terms(answer.device))
    ending(main, command)
    return html(root)


def _title(main: Element, answer: Answer) -> None:
    header = node(main, "header")
    node(header, "h1", answer.model.id)
    device = answer.device
    each = "" if device is None else f"{device.count} × " if device.count > 1 else ""
    where = "" if device is None else f" on {each}{device.name}"
    billions = f"{answer.parameters / 1e9:.2f} B" if answer.parameters >= 1e9 else f"{answer.parameters:,}"
    node(header, "p", f"{billions} parameters, {asked_words(answer.workload)}{where}", class_="lead")


def _verdict(main: Element, answer: Answer, option: Option) -> None:
    card, said, device = section(main, None, "wide"), words.verdict(answer), answer.device
    card.set("aria-label", "Verdict")
    spare = option.verdict.headroom_bytes
    rows: list[tuple[str, int | None]] = [(f"{option.title} needs", option.estimate.peak.minimum_bytes.mid)]
    rows.append(("free", available(option, device) if device else None))
    rows.append(("to spare" if (spare or 0) >= 0 else "too much", None if spare is None else abs(spare)))
    figures(card, f"{MARKS[said.outcome]} {said.badge}", said.outcome, rows)
    card.append(memory_picture(option, device))
    parts = needed(option, device, kind_order(option))
    key(card, [*parts, *(remaining(option, device) if device else ())])
    text = node(card, "div", class_="text")
    node(text, "p", unbroken(said.text))
    if details := words.details(answer):
        node(text, "p", unbroken(details), class_="quiet")


def _next(main: Element, answer: Answer) -> None:
    steps = words.next_steps(answer)
    if steps:
        listed = node(section(main, "Next", "wide"), "ol", class_="next")
        for step in steps:
            item, typed = node(listed, "li"), ASIDE.search(step)
            with_options(item, ASIDE.sub("", step))
            if typed is not None:
                code(item, typed.group(1), "step")


def _timeline(main: Element, option: Option) -> None:
    card = section(main, f"When: {option.title} phase by phase")
    card.append(timeline_picture(option))
    listed = node(card, "ol", class_="phases")
    for phase in option.estimate.phases:
        worst = phase.phase == option.estimate.peak.phase
        row = node(node(listed, "li", class_="peak" if worst else None), "div")
        node(row, "span", f"{phase_name(phase.phase)}{' ◂ peak' if worst else ''}")
        node(row, "data", size(phase.allocated_bytes), value=str(phase.allocated_bytes))


def _map(main: Element, found: FitMap, answer: Answer) -> None:
    card = section(main, "What else would fit" if answer.device else "What other sizes need")
    card.append(map_picture(found))
    seen = {cell.outcome for cell in found.cells if cell.outcome is not None}
    letters = ", ".join(f"{LETTERS[outcome]} {WORDS[outcome]}" for outcome in WORDS if outcome in seen)
    node(card, "p", f"{letters}. Numbers: GiB needed. Framed: what was asked.", class_="quiet note")
    map_rows(folded(card, "The map as a table"), found)


def _numbers(main: Element, answer: Answer, option: Option) -> None:
    card = section(main, f"How sure: {option.title} by four measures")
    card.append(numbers_picture(answer, option))
    options_rows(folded(card, "All numbers as a table"), answer)
