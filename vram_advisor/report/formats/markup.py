"""Elements of HTML and SVG. The standard library escapes every text and attribute when it writes them."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

SVG = "http://www.w3.org/2000/svg"
UNWRITABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")
"""What no XML may hold, and marks that turn the direction of the text around them (Unicode Standard Annex 9)."""
REPLACEMENT = "\ufffd"

Value = str | float


def clean(text: str) -> str:
    """Text without control characters.

    >>> clean("a\\x00b\\u202ec")
    'a\ufffdb\ufffdc'
    """
    return UNWRITABLE.sub(REPLACEMENT, text)


def node(parent: Element | None, tag: str, text: str = "", /, **attributes: Value | None) -> Element:
    """An element below another one.

    Args:
        parent: None for an element that stands by itself.
        tag: name of the element.
        text: its first text.
        attributes: ``class_`` for class, ``stroke_width`` for stroke-width; None leaves one out.
    """
    named = {name.rstrip("_").replace("_", "-"): _value(v) for name, v in attributes.items() if v is not None}
    element = Element(tag, named) if parent is None else SubElement(parent, tag, named)
    element.text = clean(text) or None
    return element


def then(element: Element, text: str) -> None:
    """Text behind the last child of an element."""
    if len(element):
        element[-1].tail = (element[-1].tail or "") + clean(text)
    else:
        element.text = (element.text or "") + clean(text)


def share(part: float, whole: float) -> str:
    """A length as per cent of the picture's width, so that pictures are as wide as the page and letters stay as they are.

    >>> share(1, 3)
    '33.333%'
    """
    return f"{100 * part / whole if whole else 0:.3f}".rstrip("0").rstrip(".") + "%"


def html(root: Element) -> str:
    """A whole HTML document."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def svg(root: Element) -> str:
    """A whole SVG document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _value(value: Value) -> str:
    return clean(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
