"""One picture of an answer for a page that shows images: verdict, bar, parts and phases."""

from __future__ import annotations

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.formats.board import GAP, INNER, LINE, MARGIN, Board
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.memory_picture import memory_picture
from vram_advisor.report.formats.options_picture import MARKS
from vram_advisor.report.formats.parts import available, kind_order, needed, remaining
from vram_advisor.report.formats.timeline_picture import phase_name, timeline_picture
from vram_advisor.report.ranking import asked_words
from vram_advisor.report.sizes import size
from vram_advisor.units.bytes import gib


def svg_report(answer: Answer) -> str:
    """The picture as a document of its own."""
    option, said, device = words.shown(answer), words.verdict(answer), answer.device
    board = Board(words.title(answer), said.text)
    where = "" if device is None else f" on {f'{device.count} × ' if device.count > 1 else ''}{device.name}"
    board.heading(
        f"{MARKS[said.outcome]} {said.badge}", said.outcome, answer.model.id, f"{asked_words(answer.workload)}{where}"
    )
    board.line(_need(answer, option))
    board.place(memory_picture(option, device))
    board.key([*needed(option, device, kind_order(option)), *(remaining(option, device) if device else ())])
    board.title(f"When: {option.title} phase by phase")
    board.place(timeline_picture(option, INNER))
    _phases(board, option)
    return board.finished(MARGIN - 8)


def _need(answer: Answer, option: Option) -> str:
    device, spare = answer.device, option.verdict.headroom_bytes
    line = f"{option.title} needs {gib(option.estimate.peak.minimum_bytes.mid)}"
    if device is not None and spare is not None:
        line += f", {gib(available(option, device))} free: {gib(abs(spare))} {'to spare' if spare >= 0 else 'too much'}"
    return line


def _phases(board: Board, option: Option) -> None:
    phases, worst = option.estimate.phases, option.estimate.peak.phase
    rows = (len(phases) + 1) // 2
    wide, top = (INNER - GAP) / 2, board.y + LINE
    for i, phase in enumerate(phases):
        x, y = MARGIN + (i // rows) * (wide + GAP), top + LINE * (i % rows)
        style = "strong" if phase.phase == worst else ""
        name = f"{i + 1}  {phase_name(phase.phase)}{' ◂ peak' if style else ''}"
        node(board.root, "text", name, x=x, y=y, class_=style)
        node(board.root, "text", size(phase.allocated_bytes), x=x + wide, y=y, class_=f"end {style}".strip())
    board.y = top + LINE * rows
