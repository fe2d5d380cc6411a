"""One picture of an answer for a page that shows images: verdict, bar, parts and phases."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.formats.markup import SVG, node, svg
from vram_advisor.report.formats.memory_picture import memory_picture
from vram_advisor.report.formats.options_picture import MARKS
from vram_advisor.report.formats.palette import hatches, style_sheet
from vram_advisor.report.formats.parts import HATCHES, Part, available, kind_order, needed, remaining
from vram_advisor.report.formats.timeline_picture import phase_name, timeline_picture
from vram_advisor.report.ranking import asked_words
from vram_advisor.report.sizes import size
from vram_advisor.units.bytes import gib

WIDTH, MARGIN, GAP = 760, 28, 28
INNER = WIDTH - 2 * MARGIN
LINE = 22
"""Pixels of a line of a list."""
LONGEST = 84
"""Characters of a line; what is longer ends in dots."""


def svg_report(answer: Answer) -> str:
    """The picture as a document of its own."""
    option, said = words.shown(answer), words.verdict(answer)
    root = node(None, "svg", xmlns=SVG, class_="picture", width=WIDTH, role="img", aria_labelledby="title desc")
    node(root, "title", words.title(answer), id="title")
    node(root, "desc", said.text, id="desc")
    node(root, "style", style_sheet())
    hatches(root)
    board = node(root, "rect", x=0.5, y=0.5, width=WIDTH - 1, rx=12, class_="card edge-line rule")
    y = _heading(root, answer, option)
    y = _placed(root, memory_picture(option, answer.device), y)
    y = _key(root, answer, option, y + 20) + GAP
    node(root, "text", f"When: {option.title} phase by phase", x=MARGIN, y=y, class_="strong", font_size=14)
    y = _placed(root, timeline_picture(option, INNER), y + 8)
    y = _phases(root, option, y + 22) + MARGIN - 8
    board.set("height", f"{y - 1:.0f}")
    root.set("height", f"{y:.0f}")
    root.set("viewBox", f"0 0 {WIDTH} {y:.0f}")
    return svg(root)


def _heading(root: Element, answer: Answer, option: Option) -> float:
    said, device, need = words.verdict(answer), answer.device, option.estimate.peak.minimum_bytes.mid
    badge = f"{MARKS[said.outcome]} {said.badge}"
    wide = 24 + 11 * len(badge)
    node(root, "rect", x=MARGIN, y=26, width=wide, height=40, rx=9, class_=f"{said.outcome}-tint")
    node(
        root, "text", badge, x=MARGIN + wide / 2, y=52, class_=f"middle strong {said.outcome}", font_size=18,
    )  # fmt: skip
    left = MARGIN + wide + 18
    node(root, "text", _cut(answer.model.id, 46), x=left, y=43, class_="strong", font_size=18)
    where = "" if device is None else f" on {f'{device.count} × ' if device.count > 1 else ''}{device.name}"
    node(root, "text", _cut(f"{asked_words(answer.workload)}{where}", LONGEST), x=left, y=62, class_="soft")
    spare = option.verdict.headroom_bytes
    line = f"{option.title} needs {gib(need)}"
    if device is not None and spare is not None:
        line += f", {gib(available(option, device))} free: {gib(abs(spare))} {'to spare' if spare >= 0 else 'too much'}"
    node(root, "text", line, x=MARGIN, y=96, font_size=15, class_="strong")
    return 108.0


def _placed(root: Element, picture: Element, y: float) -> float:
    """A picture across the board; where it ends."""
    height = float(picture.get("height", "0"))
    picture.set("x", str(MARGIN))
    picture.set("y", f"{y:.0f}")
    picture.set("width", str(INNER))
    root.append(picture)
    return y + height


def _key(root: Element, answer: Answer, option: Option, y: float) -> float:
    device = answer.device
    parts = [*needed(option, device, kind_order(option)), *(remaining(option, device) if device else ())]
    for i, part in enumerate(parts):
        _entry(root, part, MARGIN + (i % 3) * INNER / 3, y + LINE * (i // 3))
    return y + LINE * ((len(parts) + 2) // 3)


def _entry(root: Element, part: Part, x: float, y: float) -> None:
    node(root, "rect", x=x, y=y - 11, width=14, height=14, rx=3, class_=f"{part.style} edge-line")
    if part.style in HATCHES:
        node(root, "rect", x=x, y=y - 11, width=14, height=14, rx=3, fill=f"url(#{HATCHES[part.style]})")
    node(root, "text", f"{part.title} {size(part.nbytes)}", x=x + 20, y=y)


def _phases(root: Element, option: Option, y: float) -> float:
    phases, worst = option.estimate.phases, option.estimate.peak.phase
    rows = (len(phases) + 1) // 2
    wide = (INNER - GAP) / 2
    for i, phase in enumerate(phases):
        x, at = MARGIN + (i // rows) * (wide + GAP), y + LINE * (i % rows)
        style = "strong" if phase.phase == worst else ""
        node(root, "text", f"{i + 1}  {phase_name(phase.phase)}{' ◂ peak' if style else ''}", x=x, y=at, class_=style)
        node(root, "text", size(phase.allocated_bytes), x=x + wide, y=at, class_=f"end {style}".strip())
    return y + LINE * rows


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
