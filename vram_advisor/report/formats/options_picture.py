"""The options side by side on one scale, each with its parts, its interval and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Option
from vram_advisor.domain.estimate import Outcome
from vram_advisor.domain.gpu import Device
from vram_advisor.report.formats.canvas import canvas, label, pointer, upright, whisker
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.parts import available, draw, needed
from vram_advisor.units.bytes import gib

MARKS: dict[Outcome, str] = {"fits": "✓", "tight": "≈", "spill": "~", "no": "✗", "unknown": "?"}
"""Verdicts as signs; the word stands beside them."""
SHORT: dict[Outcome, str] = {"fits": "fits", "tight": "tight", "spill": "spills", "no": "no", "unknown": ""}
"""Verdicts in a picture, where room is scarce."""
WORDS: dict[Outcome, str] = {
    "fits": "fits", "tight": "tight", "spill": "spills", "no": "does not fit", "unknown": "unknown",
}  # fmt: skip
ROW, BAR, FIRST = 58, 22, 26
"""Pixels from option to option, of a bar, and above the first option."""


def options_picture(options: Sequence[Option], device: Device | None, best: int | None, order: list[str]) -> Element:
    """One bar for each option.

    Args:
        options: with their titles.
        device: the card.
        best: index of the one that is recommended.
        order: kinds of memory in the order of their colours.
    """
    most = max(option.estimate.peak.minimum_bytes.high for option in options)
    total = max(most, device.free_bytes if device else 0)
    described = ". ".join(f"{option.title}: {_said(option)}" for option in options)
    first = FIRST if device else 0
    root = canvas("options", "The options compared", f"{described}.", first + ROW * len(options))
    for i, option in enumerate(options):
        need, y = option.estimate.peak.minimum_bytes, first + ROW * i
        mark = " ◂" if i == best else ""
        node(root, "text", f"{option.title}{mark}", x=0, y=y + 12, class_="strong")
        node(root, "text", _said(option), x="100%", y=y + 12, class_=f"end {option.verdict.outcome}")
        draw(root, needed(option, device, order), total, y + 18, BAR)
        whisker(root, need.low / total, need.mid / total, need.high / total, y + 18 + BAR / 2)
    if device is not None:
        ends = [available(option, device) for option in options]
        for i, end in enumerate(ends):
            upright(root, end / total, first + ROW * i + 15, first + ROW * i + 22 + BAR, "ink-line mark")
        pointer(root, ends[0] / total, first - 3)
        label(root, f"{gib(ends[0])} free", ends[0] / total, 11, "soft")
    return root


def _said(option: Option) -> str:
    outcome = option.verdict.outcome
    return f"{gib(option.estimate.peak.minimum_bytes.mid)} {MARKS[outcome]} {SHORT[outcome]}".rstrip()
