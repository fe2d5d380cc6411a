"""Wrapping and columns."""

from hypothesis import given
from hypothesis import strategies as st

from vram_advisor.report.layout import Column, flow, length, line, plain, table, wrapped

WORDS = st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12), max_size=30)


@given(WORDS, st.integers(14, 60))
def test_wrapping_keeps_the_words_and_the_width(words: list[str], width: int) -> None:
    lines = wrapped(line(" ".join(words)), width)
    assert " ".join(plain(spans) for spans in lines).split() == words
    assert all(length(spans) <= width for spans in lines)


@given(WORDS, st.integers(16, 60))
def test_lines_after_the_first_hang(words: list[str], width: int) -> None:
    lines = wrapped(line(" ".join(words)), width, hanging=2)
    assert all(plain(spans).startswith("  ") for spans in lines[1:])
    assert all(length(spans) <= width for spans in lines)


def test_styles_survive_wrapping() -> None:
    lines = wrapped((("bold words", "bold"), (" and plain ones", "")), 12)
    assert [plain(spans) for spans in lines] == ["bold words", "and plain", "ones"]
    assert {style for _, style in lines[0]} == {"bold"}


def test_columns_are_aligned_and_lines_end_in_text() -> None:
    rows = [(line("a"), line("1"), line("x")), (line("bbb"), line("22"), ())]
    lines = [plain(spans) for spans in table((Column("name"), Column("n", "right"), Column()), rows, 40)]
    assert lines == ["name   n", "a      1  x", "bbb   22"]


def test_a_flexible_column_wraps_or_is_cut() -> None:
    rows = [(line("key"), line("a rather long explanation"))]
    assert [plain(s) for s in table((Column(), Column(flexible=True)), rows, 20)] == [
        "key  a rather long",
        "     explanation",
    ]
    assert [plain(s) for s in table((Column(), Column(flexible=True, cut=True)), rows, 20)] == ["key  a rather long…"]


def test_flow_keeps_entries_whole() -> None:
    lines = flow([line("one two"), line("three four"), line("five")], 20)
    assert [plain(spans) for spans in lines] == ["one two  three four", "five"]


def test_a_word_wider_than_the_line_is_broken() -> None:
    assert [plain(s) for s in wrapped(line("see abcdefghijkl now"), 6)] == ["see", "abcdef", "ghijkl", "now"]
    rows = [(line("rtx-5090-receipts"), line("x" * 10))]
    assert [plain(s) for s in table((Column(flexible=True), Column()), rows, 22)] == [
        "rtx-5090-   xxxxxxxxxx",
        "receipts",
    ]


def test_a_narrow_table_gives_up_columns_before_it_breaks_words() -> None:
    columns = (Column("name", flexible=True), Column("first", optional=2), Column("second", optional=1), Column("last"))
    rows = [(line("mixed precision"), line("1" * 9), line("2" * 9), line("3" * 9))]
    assert [plain(s) for s in table(columns, rows, 34)] == [
        "name          second     last",
        "mixed         222222222  333333333",
        "precision",
    ]
    assert plain(table(columns, rows, 26)[0]).split() == ["name", "last"]
