"""Lines of a report as content of the terminal library: names of styles become variables of the theme."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from vram_advisor.report.layout import NBSP, Line
from vram_advisor.report.look import ASCII, PARTS, Look
from vram_advisor.units.bytes import GIB

STYLES = {
    "bold": "bold",
    "dim": "$quiet",
    "fits": "$text-success",
    "tight": "$text-warning",
    "spill": "$text-warning",
    "no": "$text-error",
    "unknown": "$text-accent",
    "warning": "$text-warning",
    "peak": "$text-warning",
    "calm": "$text-primary",
    "overhead": "$foreground",
    "free": "$text-success",
    "held": "$quiet",
    "key": "$text-accent",
    "head": "bold $text-primary",
    "here": "reverse",
} | {f"part{i}": f"$part{i}" for i in range(PARTS)}
"""What a style of a report is in a theme. Only variables, so that every theme applies."""
MORE = str.maketrans({
    "›": ">", "‹": "<", "✓": "+", "✗": "x", "±": "~", "●": "*", "○": "o", "≈": "~", "°": " ", "◂": "<", "▲": "^", "Δ": "d",
    "▸": ">", "“": '"', "”": '"', "‘": "'", "’": "'", "≥": ">", "≤": "<", "▏": "|", "¼": "1/4",
})  # fmt: skip
MARKS = {"fits": "✓", "tight": "!", "spill": "~", "no": "✗", "unknown": "?"}
"""Verdicts as glyphs; a word or a number always stands beside them."""
LETTERS = {"fits": "F", "tight": "T", "spill": "S", "no": "N", "unknown": "?"}
SPARKS = {True: " ▁▂▃▄▅▆▇█", False: " ._-=+*%#"}


def content(spans: Line, look: Look) -> Content:
    """One line."""
    return Content.assemble(*((plainly(text, look), _style(style)) for text, style in spans))


def contents(lines: Iterable[Line], look: Look) -> Content:
    """Several lines, one below the other."""
    return Content("\n").join([content(spans, look) for spans in lines])


def put(widget: Static, text: Content) -> None:
    """Show a text where it is another one; the screen is laid out again only where it has more or fewer lines."""
    before = widget.content
    if isinstance(before, Content) and before.is_same(text):
        return
    lines = before.plain.count("\n") if isinstance(before, Content) and before else -1
    widget.update(text, layout=not text or text.plain.count("\n") != lines)


def plainly(text: str, look: Look) -> str:
    """A text as the terminal can show it."""
    text = text.replace(NBSP, " ")
    if look.unicode or text.isascii():
        return text
    return text.translate(ASCII).translate(MORE).encode("ascii", "replace").decode()


def number(nbytes: float) -> str:
    """Bytes in GiB with two digits, for columns.

    >>> number(3 * 2**30), number(2**20)
    ('3.00', '0.00')
    """
    return f"{nbytes / GIB:.2f}"


def difference(nbytes: float) -> str:
    """A change in GiB with its sign; nothing where it is none."""
    text = f"{abs(nbytes) / GIB:.2f}"
    return "=" if text == "0.00" else ("−" if nbytes < 0 else "+") + text


def cut(text: str, room: int) -> str:
    """The text, or as much of it as there is room for."""
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"


def sparkline(values: Iterable[float], look: Look) -> str:
    """One glyph for each share of one."""
    glyphs = SPARKS[look.unicode]
    return "".join(glyphs[min(8, max(0, round(value * 8)))] for value in values)


def _style(names: str) -> str:
    return " ".join(STYLES[name] for name in names.split())
