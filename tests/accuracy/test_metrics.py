"""Figures over predictions: errors beyond resolution, macro means, mixtures of what a row could mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vram_advisor.accuracy.metrics import Scored, figures, mean, quantile
from vram_advisor.accuracy.mixture import mixed
from vram_advisor.domain.estimate import Interval


def scored(measured: float, mid: float, resolution: float = 0.0, half: float = 0.0) -> Scored:
    return Scored("r1", "bench", "lora", "process", "A", measured, resolution, mid - half, mid, mid + half)


def test_an_error_within_half_the_resolution_is_none() -> None:
    assert scored(measured=1000, mid=1004, resolution=10).error == 0
    assert scored(measured=1000, mid=1025, resolution=10).error == pytest.approx(0.02)


def test_six_figures_of_three_rows() -> None:
    found = figures([scored(100, 80, half=5), scored(100, 100, half=5), scored(100, 104, half=5)])
    assert found.rows == 3
    assert found.median_abs_error == pytest.approx(0.04)
    assert found.p90_abs_error == pytest.approx(0.04 + 0.8 * 0.16)
    assert found.bias == pytest.approx(-0.16 / 3)
    assert found.under_10 == pytest.approx(1 / 3)
    assert found.coverage_90 == pytest.approx(2 / 3)


def test_a_small_source_weighs_as_much_as_a_large_one() -> None:
    large = figures([scored(100, 100)] * 90)
    small = figures([scored(100, 120)] * 10)
    together = mean([large, small])
    assert together.rows == 100
    assert together.median_abs_error == pytest.approx(0.1)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_between_the_extremes(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert min(values) - 1e-6 <= found <= max(values) + 1e-6


def test_one_meaning_is_its_own_interval() -> None:
    assert mixed([(1.0, Interval(90, 100, 110))]) == (90, 100, 110)


def test_two_equal_meanings_span_both() -> None:
    low, mid, high = mixed([(0.5, Interval(90, 100, 110)), (0.5, Interval(190, 200, 210))])
    assert 90 < low < 100
    assert 100 < mid < 200
    assert 200 < high < 210
