"""The screen of ``check``: goldens, and what holds at every width."""

import re
from dataclasses import replace
from typing import Literal

import pytest
from golden import assert_golden
from sample_answers import CARD, answer

from vram_advisor.report.layout import length
from vram_advisor.report.look import Look
from vram_advisor.report.screen import answer_lines

Kind = Literal["fits", "tight", "no", "unknown", "busy"]
KINDS: tuple[Kind, ...] = ("fits", "tight", "no", "unknown", "busy")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [80, 120])
def test_golden(kind: Kind, width: int) -> None:
    look = Look()
    assert_golden(f"check_{kind}_{width}.txt", look.painted(answer_lines(answer(kind), look, width)))


def test_golden_explain() -> None:
    look = Look()
    assert_golden("check_explain_80.txt", look.painted(answer_lines(answer("fits"), look, 80, explain=True)))


def test_golden_colour() -> None:
    look = Look(colour=True)
    assert_golden("check_colour_80.ansi", look.painted(answer_lines(answer("fits"), look, 80)))


def test_golden_ascii() -> None:
    look = Look(unicode=False)
    text = look.painted(answer_lines(answer("no"), look, 80))
    assert text.isascii()
    assert_golden("check_ascii_80.txt", text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 61, 80, 97, 120, 200])
def test_no_line_is_wider_than_the_terminal_or_ends_in_a_space(kind: Kind, width: int) -> None:
    for spans in answer_lines(answer(kind), Look(), width, explain=True):
        text = "".join(part for part, _ in spans)
        assert not text.endswith(" "), text
        assert length(spans) <= width, text


def test_colour_changes_no_word() -> None:
    coloured = Look(colour=True).painted(answer_lines(answer("fits"), Look(colour=True), 80))
    plain = Look().painted(answer_lines(answer("fits"), Look(), 80))
    without = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert re.sub(r"[█▓▒░▚▞▖]", "█", without) == re.sub(r"[█▓▒░▚▞▖]", "█", plain)
    assert "\x1b" not in plain


def test_words_come_before_figures() -> None:
    text = Look().painted(answer_lines(answer("fits"), Look(), 80))
    places = [text.index(word) for word in ("FITS", "NEXT", "at its peak", "The options", "Where the memory", "When:")]
    assert places == sorted(places)


def test_a_card_of_another_maker_has_neutral_words() -> None:
    apple = replace(answer("fits"), device=replace(CARD, name="Apple M4 Max"))
    text = Look().painted(answer_lines(apple, Look(), 80, explain=True))
    assert not any(word in text for word in ("CUDA", "cuBLAS", "nvidia-smi", "the driver"))
    assert "runtime and allocator" in text and "kept by the system" in text
