"""The HTML report: one file that needs nothing else, a picture first and the fine print last."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from vram_advisor import __version__
from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.calibration_words import rests_on
from vram_advisor.report.formats.asked import FitMap
from vram_advisor.report.formats.map_picture import LETTERS, map_picture
from vram_advisor.report.formats.markup import SVG, html, node, then
from vram_advisor.report.formats.memory_picture import memory_picture
from vram_advisor.report.formats.numbers_picture import numbers_picture
from vram_advisor.report.formats.options_picture import MARKS, WORDS, options_picture
from vram_advisor.report.formats.page_style import page_style
from vram_advisor.report.formats.palette import hatches
from vram_advisor.report.formats.parts import HATCHES, Part, available, kind_order, needed, remaining
from vram_advisor.report.formats.tables import component_rows, folded, map_rows, options_rows
from vram_advisor.report.formats.timeline_picture import phase_name, timeline_picture
from vram_advisor.report.layout import NBSP
from vram_advisor.report.ranking import asked_words
from vram_advisor.report.screen import UNITS
from vram_advisor.report.sizes import size
from vram_advisor.report.vendor import terms
from vram_advisor.units.bytes import gib

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched and nothing runs, whatever the page holds (W3C Content Security Policy Level 3)."""
OPTION = re.compile(r"((?<=: )--[^():;,]+?(?=\.?$)|--[a-z][a-z0-9-]*(?: (?=\w*[\d_-])[\w.-]*\w)?)")
"""What is typed: options that end a sentence, else one option with a value that is no word of the sentence."""
ASIDE = re.compile(r" \((--(?:(?! (?:below|or|with) )[^()])+)\)(?=\.?$)")
"""Options in parentheses at the end of a sentence."""
FOOTER = (
    f"vram-advisor {__version__}. GiB are 2^30 bytes. Every figure is a prediction; intervals are meant to hold nine of"
    " ten runs."
)


def html_report(answer: Answer, command: str, found: FitMap | None, remarks: tuple[str, ...] = ()) -> str:
    """The whole page.

    Args:
        answer: what is shown.
        command: the command line that makes the page again.
        found: the fit map; None: there is none.
        remarks: what else is to be known, beside the warnings of the answer.
    """
    option = words.shown(answer)
    root = node(None, "html", lang="en")
    _head(root, words.title(answer))
    body = node(root, "body")
    hatches(node(body, "svg", xmlns=SVG, width=0, height=0, aria_hidden="true", style="position:absolute"))
    main = node(body, "main")
    _title(main, answer)
    _verdict(main, answer, option)
    _next(main, answer)
    left, right = node(main, "div", class_="column"), node(main, "div", class_="column")
    several = len(answer.options) > 1
    if several:
        _section(left, "The options, side by side").append(options_picture(answer))
    if found is not None:
        _map(left, found, answer)
    _timeline(right, option)
    _numbers(right if several else left, answer, option)
    _items(_section(left if several else right, "Assumed", "late"), (*answer.assumptions, rests_on(answer)))
    if known := (*answer.warnings, *remarks):
        _items(_section(right, "Worth knowing", "late"), known)
    section = _section(main, "Where every byte goes", "wide last")
    for each in answer.options:
        component_rows(
            folded(section, f"{each.title}: {len(each.estimate.components)} parts"), each, terms(answer.device)
        )
    section = _section(main, "The command that makes this page", "wide last")
    _code(node(section, "pre"), command)
    node(main, "footer", FOOTER, class_="last")
    return html(root)


def _head(root: Element, title: str) -> None:
    head = node(root, "head")
    node(head, "meta", charset="utf-8")
    node(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    node(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    node(head, "meta", name="color-scheme", content="light dark")
    node(head, "meta", name="referrer", content="no-referrer")
    node(head, "meta", name="generator", content=f"vram-advisor {__version__}")
    node(head, "title", title)
    node(head, "style", page_style())


def _title(main: Element, answer: Answer) -> None:
    header = node(main, "header")
    node(header, "h1", answer.model.id)
    device = answer.device
    each = "" if device is None else f"{device.count} × " if device.count > 1 else ""
    where = "" if device is None else f" on {each}{device.name}"
    billions = f"{answer.parameters / 1e9:.2f} B" if answer.parameters >= 1e9 else f"{answer.parameters:,}"
    node(header, "p", f"{billions} parameters, {asked_words(answer.workload)}{where}", class_="lead")


def _verdict(main: Element, answer: Answer, option: Option) -> None:
    section, said, device = _section(main, None, "wide"), words.verdict(answer), answer.device
    section.set("aria-label", "Verdict")
    top = node(section, "div", class_="top")
    node(top, "span", f"{MARKS[said.outcome]} {said.badge}", class_=f"badge {said.outcome}")
    figures = node(top, "dl", class_="figures")
    spare = option.verdict.headroom_bytes
    rows: list[tuple[str, int | None]] = [(f"{option.title} needs", option.estimate.peak.minimum_bytes.mid)]
    rows.append(("free", available(option, device) if device else None))
    rows.append(("to spare" if (spare or 0) >= 0 else "too much", None if spare is None else abs(spare)))
    for title, nbytes in rows:
        if nbytes is not None:
            figure = node(figures, "div")
            node(figure, "dt", title)
            node(node(figure, "dd"), "data", gib(nbytes), value=str(nbytes))
    section.append(memory_picture(answer, option))
    parts = needed(option, device, kind_order(option))
    _key(section, [*parts, *(remaining(option, device) if device else ())])
    text = node(section, "div", class_="text")
    node(text, "p", _unbroken(said.text))
    if details := words.details(answer):
        node(text, "p", _unbroken(details), class_="quiet")


def _next(main: Element, answer: Answer) -> None:
    steps = words.next_steps(answer)
    if steps:
        items = node(_section(main, "Next", "wide"), "ol", class_="next")
        for step in steps:
            item, typed = node(items, "li"), ASIDE.search(step)
            _with_options(item, ASIDE.sub("", step))
            if typed is not None:
                _code(item, typed.group(1), "step")


def _timeline(main: Element, option: Option) -> None:
    section = _section(main, f"When: {option.title} phase by phase")
    section.append(timeline_picture(option))
    items = node(section, "ol", class_="phases")
    for phase in option.estimate.phases:
        worst = phase.phase == option.estimate.peak.phase
        row = node(node(items, "li", class_="peak" if worst else None), "div")
        node(row, "span", f"{phase_name(phase.phase)}{' ◂ peak' if worst else ''}")
        node(row, "data", size(phase.allocated_bytes), value=str(phase.allocated_bytes))


def _map(main: Element, found: FitMap, answer: Answer) -> None:
    section = _section(main, "What else would fit" if answer.device else "What other sizes need")
    section.append(map_picture(found))
    seen = {cell.outcome for cell in found.cells if cell.outcome is not None}
    letters = ", ".join(f"{LETTERS[outcome]} {WORDS[outcome]}" for outcome in WORDS if outcome in seen)
    node(section, "p", f"{letters}. Numbers: GiB needed. Framed: what was asked.", class_="quiet note")
    map_rows(folded(section, "The map as a table"), found)


def _numbers(main: Element, answer: Answer, option: Option) -> None:
    section = _section(main, f"How sure: {option.title} by four measures")
    section.append(numbers_picture(answer, option))
    options_rows(folded(section, "All numbers as a table"), answer)


def _section(main: Element, heading: str | None, style: str | None = None) -> Element:
    section = node(main, "section", class_=style)
    section.tail = "\n"
    if heading is not None:
        node(section, "h2", heading)
    return section


def _key(parent: Element, parts: Iterable[Part]) -> None:
    """What colours and hatches are, with their sizes."""
    items = node(parent, "ul", class_="key")
    for part in parts:
        item = node(items, "li")
        swatch = node(item, "svg", xmlns=SVG, class_="picture", width=16, height=16, aria_hidden="true")
        node(swatch, "rect", width=16, height=16, rx=3, class_=f"{part.style} edge-line")
        if part.style in HATCHES:
            node(swatch, "rect", width=16, height=16, rx=3, fill=f"url(#{HATCHES[part.style]})")
        node(item, "span", f"{part.title} {size(part.nbytes)}")


def _items(parent: Element, sentences: Iterable[str]) -> None:
    items = node(parent, "ul", class_="plain")
    for sentence in sentences:
        _with_options(node(items, "li"), sentence)


def _with_options(parent: Element, sentence: str) -> None:
    """A sentence in which names of options look like what is typed."""
    for i, piece in enumerate(OPTION.split(sentence)):
        if i % 2:
            _code(parent, piece)
        else:
            then(parent, _unbroken(piece))


def _code(parent: Element, typed: str, style: str | None = None) -> None:
    """What is typed, whose words are broken only where they are longer than a line."""
    code = node(parent, "code", class_=style)
    for i, word in enumerate(typed.split(" ")):
        then(code, " " if i else "")
        node(code, "span", word)


def _unbroken(sentence: str) -> str:
    """A sentence whose units stay on the line of their numbers."""
    for unit in UNITS:
        sentence = sentence.replace(f" {unit}", NBSP + unit)
    return sentence
