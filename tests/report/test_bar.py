"""The memory bar: cells add up, nothing is invisible, the segments are the components."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_answers import BUSY, CARD, answer, option

from vram_advisor.report.bar import cells, memory_bar, phase_bars, segments
from vram_advisor.report.layout import length, plain
from vram_advisor.report.look import Look
from vram_advisor.units.bytes import GIB


@given(st.lists(st.integers(1, 2**45), min_size=1, max_size=12), st.integers(12, 200))
def test_cells_fill_the_width_and_show_everything(sizes: list[int], width: int) -> None:
    found = cells(sizes, width)
    assert sum(found) == width
    assert min(found) >= 1


@given(st.lists(st.integers(1, 2**45), min_size=1, max_size=5))
def test_a_larger_size_has_no_fewer_cells(sizes: list[int]) -> None:
    found = cells(sorted(sizes), 80)
    assert all(after >= before - 1 for before, after in pairwise(found)), "rounding may shift one cell"


def test_segments_sum_to_the_card() -> None:
    q8 = answer("fits").options[1]
    assert abs(sum(segment.nbytes for segment in segments(q8, CARD)) - CARD.total_bytes) <= 1


def test_segments_of_a_need_beyond_the_card_sum_to_the_need() -> None:
    large = option("FP16", "bf16", 40 * GIB, CARD, 0.0)
    assert abs(sum(segment.nbytes for segment in segments(large, CARD)) - int(large.estimate.minimum_mean)) <= 1


def test_what_others_hold_is_named_on_a_card_that_was_read() -> None:
    q4 = answer("fits").options[2]
    assert segments(q4, BUSY)[-1].title == "held by others"
    assert segments(q4, CARD)[-1].title == "kept by the driver"


@pytest.mark.parametrize("weights", [8, 12, 40, 400])
def test_the_end_of_free_memory_is_marked_within_the_width(weights: int) -> None:
    large = option("FP16", "bf16", weights * GIB, BUSY, 0.0)
    lines = memory_bar(large, BUSY, Look(), 78)
    assert "free memory ends here (8.00 GiB)" in plain(lines[1])
    assert all(length(spans) <= 78 for spans in lines)


def test_the_worst_phase_has_the_longest_bar_and_the_mark() -> None:
    q8 = answer("fits").options[1]
    lines = [plain(spans) for spans in phase_bars(q8, Look(), 78)]
    marked = [text for text in lines if text.endswith("◂ peak")]
    assert len(marked) == 1 and marked[0].startswith("gradient of the loss")
    assert max(lines, key=lambda text: text.count("█")) == marked[0]
    assert len(lines) == len(q8.estimate.phases)


def test_every_kind_beyond_the_largest_shares_a_segment() -> None:
    q8 = answer("fits").options[1]
    parts = [segment for segment in segments(q8, None) if segment.role == "part"]
    assert [segment.title for segment in parts][-1] == "other"
    alive = [c.nbytes for c in q8.estimate.components if q8.estimate.peak.phase in c.alive]
    assert sum(segment.nbytes for segment in parts) == sum(alive)


def test_a_device_without_free_memory_is_drawn() -> None:
    full = replace(BUSY, free_bytes=0)
    lines = memory_bar(answer("fits").options[2], full, Look(), 60)
    assert plain(lines[1]).startswith("↑ free memory ends here (0 B)")
