"""The front: plans that none beats in memory, time and quality at once, on memory and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from vram_advisor.domain.advice import AdviceAnswer, Tier
from vram_advisor.report.formats.canvas import LETTER, NARROWEST, canvas, label, pointer, upright
from vram_advisor.report.formats.markup import node, share
from vram_advisor.units.bytes import GIB, gib

TOP, TALL, BELOW = 48, 210, 40
"""Pixels above the field, of it, and of what is written below."""
LEFT = 0.13
"""Share of the width for what stands beside the field."""
ROOM = 1.2
"""Factor between what lies outermost and the edge of the field."""
STEPS = ((1, 2, 5), (3, 7), (1.5, 4, 6, 8, 9), (1.2, 1.1, 2.5))
"""Figures that stand at an axis, times powers of ten; those that come first are taken first."""
ENOUGH = 3
"""Figures that an axis needs."""
POINT = 9
"""Half of the width of a point in pixels."""
BESIDE = 12
"""Pixels from the middle of a point to its name."""
LINE = 14
"""Pixels of a line of letters."""
SHAPES: dict[Tier, tuple[str, str]] = {
    "same result": ("M-7,0 A7,7 0 1,0 7,0 A7,7 0 1,0 -7,0 Z", "p0"),
    "same model": ("M0,-9 L9,0 L0,9 L-9,0 Z", "p1"),
    "another": ("M-6.5,-6.5 L6.5,-6.5 L6.5,6.5 L-6.5,6.5 Z", "p2"),
}
"""Circle, diamond and square, and their colours."""
TIER_TITLES: dict[Tier, str] = {
    "same result": "same result",
    "same model": "another precision, optimizer or length",
    "another": "another method or model",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic axis: its least and its most, and where they lie."""

    least: float
    most: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        part = math.log(value / self.least) / math.log(self.most / self.least)
        return self.start + part * (self.end - self.start)

    def ticks(self, apart: float) -> list[float]:
        """Round figures at least so far apart, of one digit where these are enough."""
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        kept: list[float] = []
        for steps in STEPS:
            for value in (step * 10.0**power for step in steps for power in powers):
                here = self.least <= value <= self.most
                if here and all(abs(self.at(value) - self.at(other)) >= apart for other in kept):
                    kept.append(value)
            if len(kept) >= ENOUGH:
                break
        return sorted(kept)


def front_picture(answer: AdviceAnswer) -> Element:
    """Numbered plans, lower and further to the left the better, beside the plan as asked."""
    needs = [advice.estimate.minimum_mean / GIB for advice in answer.front]
    times = [advice.relative_time for advice in answer.front]
    asked, free = answer.asked.estimate.minimum_mean / GIB, answer.asked.verdict.free_bytes
    memory = _scale([*needs, asked, *([free / GIB] if free else [])], LEFT, 1.0)
    time = _scale([*times, 1.0], TOP + TALL, TOP)
    described = [
        f"{i}: {gib(a.estimate.minimum_mean)}, {a.relative_time:.2f} times the time, {TIER_TITLES[a.tier]}"
        for i, a in enumerate(answer.front, 1)
    ]
    root = canvas("front", "Plans by memory and time", f"{'. '.join(described)}.", TOP + TALL + BELOW)
    _field(root, memory, time, free)
    x, y = memory.at(asked), time.at(1.0)
    node(_place(root, x, y), "circle", r=7, class_="none ink-line mark")
    points = [
        (memory.at(need), time.at(each), str(i)) for i, (need, each) in enumerate(zip(needs, times, strict=True), 1)
    ]
    for advice, (x_there, y_there, _) in zip(answer.front, points, strict=True):
        path, style = SHAPES[advice.tier]
        node(_place(root, x_there, y_there), "path", d=path, class_=f"{style} cut rule")
    half = POINT / NARROWEST
    taken = [(there, at - half, at + half) for at, there, _ in [(x, y, ""), *points]]
    for x_there, y_there, text in [(x, y, "asked"), *points]:
        _name(root, text, x_there, y_there, taken)
    return root


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    return Scale(min(values) / ROOM, max(values) * ROOM, start, end)


def _field(root: Element, memory: Scale, time: Scale, free: int | None) -> None:
    node(
        root, "rect", x=share(LEFT, 1), y=TOP, width=share(1 - LEFT, 1), height=TALL, class_="none edge-line rule",
    )  # fmt: skip
    if free is not None:
        at = memory.at(free / GIB)
        node(
            root, "rect", x=share(at, 1), y=TOP, width=share(1 - at, 1), height=TALL, class_="no-tint",
        )  # fmt: skip
        upright(root, at, TOP - 4, TOP + TALL, "ink-line mark")
        pointer(root, at, TOP - 5)
        label(root, f"{gib(free)} free", at, TOP - 14, "soft")
    node(root, "text", "time ↑", x=0, y=12, class_="soft")
    for value in time.ticks(1.6 * LINE):
        y = time.at(value)
        node(root, "line", x1=share(LEFT, 1), x2="100%", y1=y, y2=y, class_="edge-line rule")
        node(root, "text", f"×{value:.2g}", x=share(LEFT - 0.02, 1), y=y + 4, class_="soft end")
    for value in memory.ticks(40 / NARROWEST):
        x = memory.at(value)
        upright(root, x, TOP + TALL, TOP + TALL + 4, "soft-line rule")
        node(root, "text", f"{value:g}", x=share(x, 1), y=TOP + TALL + 18, class_="soft middle")
    node(root, "text", "GiB needed →", x="100%", y=TOP + TALL + 36, class_="soft end")


def _place(root: Element, x: float, y: float) -> Element:
    return node(root, "svg", x=share(x, 1), y=y, width=1, height=1, overflow="visible")


def _name(root: Element, text: str, x: float, y: float, taken: list[tuple[float, float, float]]) -> None:
    """A name beside its point, moved up or down until it lies over no other."""
    wide = (len(text) * LETTER + 4) / NARROWEST
    left = x + wide + BESIDE / NARROWEST > 1
    start = x - wide - BESIDE / NARROWEST if left else x + BESIDE / NARROWEST
    for step in (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5):
        there = y + step * LINE
        inside = TOP + LINE <= there + 4 <= TOP + TALL
        crossed = any(abs(there - other) < LINE and start < b and a < start + wide for other, a, b in taken)
        if inside and not crossed:
            break
    taken.append((there, start, start + wide))
    node(
        _place(root, x, there),
        "text",
        text,
        x=-BESIDE if left else BESIDE,
        y=4,
        class_="strong end" if left else "strong",
    )
