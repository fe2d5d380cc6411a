"""Advice as one picture for a page that shows images: the verdict, the bars of every change, and the front."""

from __future__ import annotations

from vram_advisor.domain.advice import AdviceAnswer
from vram_advisor.report.formats.advice_page import advice_title, lead, options
from vram_advisor.report.formats.board import MARGIN, Board, cut
from vram_advisor.report.formats.front_picture import SHAPES, TIER_TITLES, front_picture
from vram_advisor.report.formats.markup import node
from vram_advisor.report.formats.options_picture import MARKS, WORDS, options_picture
from vram_advisor.report.formats.parts import kind_order, needed
from vram_advisor.units.bytes import gib

WIDEST = 110
"""Characters of a line; what is longer ends in dots."""


def advice_svg(answer: AdviceAnswer) -> str:
    """The picture as a document of its own."""
    asked, device = options(answer)[0], answer.device
    outcome = asked.verdict.outcome
    board = Board(advice_title(answer), asked.verdict.reason)
    board.heading(f"{MARKS[outcome]} {WORDS[outcome].upper()}", outcome, answer.model.id, lead(answer))
    board.line(asked.verdict.reason.partition(";")[0].rstrip(".") + ".")
    board.place(options_picture(options(answer), device, None, kind_order(asked)))
    board.key(needed(asked, device, kind_order(asked)))
    for number, advice in enumerate(answer.advices, 1):
        text = f"Change {number}: {' + '.join(move.title for move in advice.moves)}"
        board.text(cut(text, WIDEST))
    if answer.front:
        board.title("Memory against time: what nothing beats")
        board.place(front_picture(answer))
        for tier in dict.fromkeys(advice.tier for advice in answer.front):
            path, style = SHAPES[tier]
            y = board.text(TIER_TITLES[tier], indent=20)
            mark = node(board.root, "svg", x=MARGIN + 8, y=y - 4, width=1, height=1, overflow="visible")
            node(mark, "path", d=path, class_=style)
        for number, advice in enumerate(answer.front, 1):
            moves = " + ".join(move.title for move in advice.moves)
            board.text(
                cut(f"{number}. {gib(advice.estimate.minimum_mean)}, ×{advice.relative_time:.2f}: {moves}", WIDEST)
            )
    return board.finished()
