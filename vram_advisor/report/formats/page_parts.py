"""What pages are built of: head, sections, lists, and sentences in which options look like what is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from vram_advisor import __version__
from vram_advisor.report.formats.markup import SVG, node, then
from vram_advisor.report.formats.page_style import page_style
from vram_advisor.report.formats.palette import hatches
from vram_advisor.report.formats.parts import HATCHES, Part
from vram_advisor.report.layout import NBSP
from vram_advisor.report.screen import UNITS
from vram_advisor.report.sizes import size
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


def page(title: str) -> tuple[Element, Element]:
    """An empty page and its main part."""
    root = node(None, "html", lang="en")
    _head(root, title)
    body = node(root, "body")
    hatches(node(body, "svg", xmlns=SVG, width=0, height=0, aria_hidden="true", style="position:absolute"))
    return root, node(body, "main")


def ending(main: Element, command: str) -> None:
    """The command that makes the page again, and what the figures are."""
    code(node(section(main, "The command that makes this page", "wide last"), "pre"), command)
    node(main, "footer", FOOTER, class_="last")


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


def section(main: Element, heading: str | None, style: str | None = None) -> Element:
    """A card of the page."""
    card = node(main, "section", class_=style)
    card.tail = "\n"
    if heading is not None:
        node(card, "h2", heading)
    return card


def items(parent: Element, sentences: Iterable[str]) -> None:
    """A list of sentences."""
    listed = node(parent, "ul", class_="plain")
    for sentence in sentences:
        with_options(node(listed, "li"), sentence)


def with_options(parent: Element, sentence: str) -> None:
    """A sentence in which names of options look like what is typed."""
    for i, piece in enumerate(OPTION.split(sentence)):
        if i % 2:
            code(parent, piece)
        else:
            then(parent, unbroken(piece))


def code(parent: Element, typed: str, style: str | None = None) -> None:
    """What is typed, whose words are broken only where they are longer than a line."""
    element = node(parent, "code", class_=style)
    for i, word in enumerate(typed.split(" ")):
        then(element, " " if i else "")
        node(element, "span", word)


def unbroken(sentence: str) -> str:
    """A sentence whose units stay on the line of their numbers."""
    for unit in UNITS:
        sentence = sentence.replace(f" {unit}", NBSP + unit)
    return sentence


def figures(card: Element, badge: str, outcome: str, rows: Iterable[tuple[str, int | None]]) -> None:
    """The verdict as a badge, and the sizes that it rests on; those that are not known are left out."""
    top = node(card, "div", class_="top")
    node(top, "span", badge, class_=f"badge {outcome}")
    listed = node(top, "dl", class_="figures")
    for title, nbytes in rows:
        if nbytes is not None:
            figure = node(listed, "div")
            node(figure, "dt", title)
            node(node(figure, "dd"), "data", gib(nbytes), value=str(nbytes))


def key(parent: Element, parts: Iterable[Part]) -> None:
    """What colours and hatches are, with their sizes."""
    listed = node(parent, "ul", class_="key")
    for part in parts:
        item = node(listed, "li")
        swatch = node(item, "svg", xmlns=SVG, class_="picture", width=16, height=16, aria_hidden="true")
        node(swatch, "rect", width=16, height=16, rx=3, class_=f"{part.style} edge-line")
        if part.style in HATCHES:
            node(swatch, "rect", width=16, height=16, rx=3, fill=f"url(#{HATCHES[part.style]})")
        node(item, "span", f"{part.title} {size(part.nbytes)}")
