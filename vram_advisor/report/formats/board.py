"""A picture that is read from top to bottom: a verdict, other pictures, and lines of text below one another."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from vram_advisor.report.formats.markup import SVG, node, svg
from vram_advisor.report.formats.palette import hatches, style_sheet
from vram_advisor.report.formats.parts import HATCHES, Part
from vram_advisor.report.sizes import size

WIDTH, MARGIN, GAP = 760, 28, 28
INNER = WIDTH - 2 * MARGIN
LINE = 22
"""Pixels of a line of a list."""
LONGEST = 84
"""Characters of a line; what is longer ends in dots."""


class Board:
    """What is placed goes below what is there."""

    def __init__(self, title: str, description: str) -> None:
        self.root = node(
            None, "svg", xmlns=SVG, class_="picture", width=WIDTH, role="img", aria_labelledby="title desc"
        )
        node(self.root, "title", title, id="title")
        node(self.root, "desc", description, id="desc")
        node(self.root, "style", style_sheet())
        hatches(self.root)
        self.card = node(self.root, "rect", x=0.5, y=0.5, width=WIDTH - 1, rx=12, class_="card edge-line rule")
        self.y = 0.0
        """Where the next thing begins."""

    def heading(self, badge: str, outcome: str, name: str, lead: str) -> None:
        """The verdict with the name of the model and the question beside it."""
        wide = 24 + 11 * len(badge)
        node(self.root, "rect", x=MARGIN, y=26, width=wide, height=40, rx=9, class_=f"{outcome}-tint")
        node(self.root, "text", badge, x=MARGIN + wide / 2, y=52, class_=f"middle strong {outcome}", font_size=18)
        left = MARGIN + wide + 18
        room = (WIDTH - MARGIN - left) / (INNER / LONGEST)
        node(self.root, "text", cut(name, int(room * 0.7)), x=left, y=43, class_="strong", font_size=18)
        node(self.root, "text", cut(lead, int(room)), x=left, y=62, class_="soft")
        self.y = 74.0

    def line(self, text: str) -> None:
        """A strong line."""
        self.y += LINE
        node(self.root, "text", text, x=MARGIN, y=self.y, font_size=15, class_="strong")
        self.y += 12

    def title(self, text: str) -> None:
        """The title of what follows."""
        self.y += GAP
        node(self.root, "text", text, x=MARGIN, y=self.y, class_="strong", font_size=14)
        self.y += 8

    def place(self, picture: Element) -> None:
        """A picture across the board."""
        picture.set("x", str(MARGIN))
        picture.set("y", f"{self.y:.0f}")
        picture.set("width", str(INNER))
        self.root.append(picture)
        self.y += float(picture.get("height", "0"))

    def key(self, parts: Sequence[Part]) -> None:
        """What colours and hatches are, in three columns."""
        y = self.y + 20
        for i, part in enumerate(parts):
            _entry(self.root, part, MARGIN + (i % 3) * INNER / 3, y + LINE * (i // 3))
        self.y = y + LINE * ((len(parts) + 2) // 3)

    def text(self, text: str, style: str = "", indent: float = 0) -> float:
        """A line of text; where it stands."""
        self.y += LINE
        node(self.root, "text", text, x=MARGIN + indent, y=self.y, class_=style or None)
        return self.y

    def finished(self, below: float = MARGIN) -> str:
        """The document."""
        self.y += below
        self.card.set("height", f"{self.y - 1:.0f}")
        self.root.set("height", f"{self.y:.0f}")
        self.root.set("viewBox", f"0 0 {WIDTH} {self.y:.0f}")
        return svg(self.root)


def cut(text: str, longest: int) -> str:
    """A text that ends in dots where it is longer.

    >>> cut("layer inputs kept", 9)
    'layer in…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _entry(root: Element, part: Part, x: float, y: float) -> None:
    node(root, "rect", x=x, y=y - 11, width=14, height=14, rx=3, class_=f"{part.style} edge-line")
    if part.style in HATCHES:
        node(root, "rect", x=x, y=y - 11, width=14, height=14, rx=3, fill=f"url(#{HATCHES[part.style]})")
    node(root, "text", f"{part.title} {size(part.nbytes)}", x=x + 20, y=y)
