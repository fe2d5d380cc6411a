"""Memory over the phases of a step: a column for each, from left to right as they come, the worst marked."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Option
from vram_advisor.report.bar import PHASE_NAMES
from vram_advisor.report.formats.canvas import NARROWEST, canvas, label, pointer
from vram_advisor.report.formats.markup import node, share
from vram_advisor.report.formats.parts import block, kind_order, of_phase
from vram_advisor.units.bytes import gib

TOP, TALL = 34, 170
"""Pixels above the columns, and of the tallest one."""
FEWEST = 5
"""Columns are not wider than these would be."""
GAP = 0.12
"""Share of a column's room that stays empty."""


def timeline_picture(option: Option, room: int = NARROWEST) -> Element:
    """The phases as numbered columns, which a list beside the picture names.

    Args:
        room: pixels that the picture is wide at least.
    """
    phases, peak = option.estimate.phases, option.estimate.peak
    most = max(1, *(phase.allocated_bytes for phase in phases))
    described = [f"{phase_name(p.phase)} {gib(p.allocated_bytes)}" for p in phases]
    root = canvas(
        "timeline",
        f"Allocated memory of {option.title} over the phases",
        f"The peak is at {phase_name(peak.phase)}. {', '.join(described)}.",
        TOP + TALL + 20,
    )
    node(root, "line", x1=0, x2="100%", y1=TOP, y2=TOP, class_="soft-line rule dash")
    each = 1 / max(len(phases), FEWEST)
    order = kind_order(option)
    for i, phase in enumerate(phases):
        x, width = (i + GAP / 2) * each, (1 - GAP) * each
        y = float(TOP + TALL)
        for part in of_phase(option, phase, order):
            height = TALL * part.nbytes / most
            y -= height
            block(root, part, share(x, 1), share(width, 1), y, height)
        middle, worst = (i + 0.5) * each, phase.phase == peak.phase
        style = "strong middle" if worst else "soft middle"
        node(root, "text", str(i + 1), x=share(middle, 1), y=TOP + TALL + 16, class_=style)
        if worst:
            pointer(root, middle, TOP - 7)
            label(root, f"peak {gib(phase.allocated_bytes)}, {phase_name(phase.phase)}", middle, 14, "strong", room)
    node(root, "line", x1=0, x2="100%", y1=TOP + TALL, y2=TOP + TALL, class_="soft-line rule")
    return root


def phase_name(phase: str) -> str:
    """A phase in a word or three."""
    return PHASE_NAMES.get(phase, phase)
