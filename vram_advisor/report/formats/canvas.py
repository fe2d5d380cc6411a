"""What all pictures have: a frame that says what it shows, marks, intervals and labels that stay inside."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.estimate import Interval
from vram_advisor.report.formats.markup import SVG, node, share
from vram_advisor.units.bytes import GIB

NARROWEST = 320
"""Pixels of the narrowest picture, on which labels still have to be whole."""
LETTER = 6.9
"""Pixels of a letter, on the generous side."""


def canvas(name: str, title: str, description: str, height: float) -> Element:
    """An empty picture, as wide as there is room and of this height in pixels.

    Args:
        name: of the picture in its document, for references.
        title: what it shows, in a few words.
        description: what is to be seen on it, for those who do not see it.
        height: pixels.
    """
    root = node(
        None, "svg", xmlns=SVG, class_="picture", width="100%", height=height, role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip
    node(root, "title", title, id=f"{name}-title")
    node(root, "desc", description, id=f"{name}-desc")
    return root


def label(parent: Element, text: str, at: float, y: float, style: str = "", room: int = NARROWEST) -> Element:
    """Text at a share of the width: across it, else to the side where there is room, else from the edge.

    Args:
        room: pixels that the picture is wide at least.
    """
    width = len(text) * LETTER / room
    anchor, x = ("end", 1.0) if at > 0.5 else ("", 0.0)
    if width / 2 <= min(at, 1 - at):
        anchor, x = "middle", at
    elif width <= at:
        anchor, x = "end", at
    elif width <= 1 - at:
        anchor, x = "", at
    return node(parent, "text", text, x=share(x, 1), y=y, class_=f"{anchor} {style}".strip() or None)


def upright(parent: Element, at: float, top: float, bottom: float, style: str) -> None:
    """A line from top to bottom at a share of the width."""
    node(parent, "line", x1=share(at, 1), x2=share(at, 1), y1=top, y2=bottom, class_=style)


def pointer(parent: Element, at: float, y: float, style: str = "ink") -> None:
    """A small triangle that points down to a place."""
    inner = node(parent, "svg", x=share(at, 1), y=y, width=1, height=1, overflow="visible")
    node(inner, "path", d="M-5,-6 L5,-6 L0,1 Z", class_=style)


def whisker(parent: Element, low: float, mid: float, high: float, y: float, style: str = "ink-line") -> None:
    """A 90 % interval: a line with ends, and a dot at its middle; shares of the width."""
    node(parent, "line", x1=share(low, 1), x2=share(high, 1), y1=y, y2=y, class_=f"{style} thick")
    for end in (low, high):
        upright(parent, end, y - 5, y + 5, f"{style} thick")
    node(parent, "circle", cx=share(mid, 1), cy=y, r=5, class_="dot")


def span(interval: Interval, digits: int = 2) -> str:
    """The ends of an interval in one unit.

    >>> span(Interval(2**30, 2**31, 3 * 2**30))
    '1.00–3.00 GiB'
    """
    return f"{interval.low / GIB:.{digits}f}–{interval.high / GIB:.{digits}f} GiB"
