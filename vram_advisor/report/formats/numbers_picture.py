"""The four numbers of an option with their 90 % intervals on one scale."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.estimate import Interval
from vram_advisor.report.formats.canvas import canvas, label, pointer, span, upright, whisker
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.parts import available
from vram_advisor.report.vendor import terms
from vram_advisor.units.bytes import GIB, gib

ROW, FIRST = 50, 26
"""Pixels from number to number, and above the first."""
MARGIN = 0.06
"""Share of the scale that stays empty on either side."""


def four_numbers(option: Option, meter: str) -> list[tuple[str, str, Interval]]:
    """Name, meaning and interval of each [B]."""
    peak = option.estimate.peak
    return [
        ("allocated", "live tensors", peak.allocated_bytes),
        ("reserved", "with the allocator's slack", peak.reserved_bytes),
        ("process", f"what {meter} shows", peak.process_bytes),
        ("minimum", "decides the verdict", peak.minimum_bytes),
    ]


def numbers_picture(answer: Answer, option: Option) -> Element:
    """A dot with whiskers for each number. The scale does not begin at zero: its ends are written below it."""
    numbers, device = four_numbers(option, terms(answer.device).meter), answer.device
    free = None if device is None else available(option, device)
    ends = [end for _, _, n in numbers for end in (n.low, n.high)] + ([] if free is None else [free])
    width = max(max(ends) - min(ends), GIB // 8) * (1 + 2 * MARGIN)
    left = max(0.0, min(ends) - width * MARGIN)

    def at(nbytes: float) -> float:
        return (nbytes - left) / width

    described = ". ".join(f"{name} {gib(n.mid)}, {span(n)}" for name, _, n in numbers)
    first = FIRST if free is not None else 0
    bottom = first + ROW * len(numbers)
    root = canvas("numbers", f"The four numbers of {option.title}", f"{described}.", bottom + 22)
    if free is not None:
        pointer(root, at(free), FIRST - 3)
        label(root, f"{gib(free)} free", at(free), 11, "soft")
    for i, (name, meaning, number) in enumerate(numbers):
        y = first + ROW * i
        text = node(root, "text", x=0, y=y + 12)
        node(text, "tspan", f"{name} {gib(number.mid)}", class_="strong")
        node(text, "tspan", f" {meaning}", class_="soft")
        style = "ink-line" if name != "minimum" else f"{option.verdict.outcome}-line"
        if free is not None:
            upright(root, at(free), y + 20, y + 40, "ink-line mark")
        whisker(root, at(number.low), at(number.mid), at(number.high), y + 30, style)
    node(root, "line", x1=0, x2="100%", y1=bottom, y2=bottom, class_="soft-line rule")
    node(root, "text", gib(left), x=0, y=bottom + 16, class_="soft small")
    node(root, "text", gib(left + width), x="100%", y=bottom + 16, class_="soft small end")
    return root
