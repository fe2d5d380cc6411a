"""Steps that were timed on a processor (``benchmarks/training_speed.py``), foreseen after two of them.

They hold the counts of operations against a machine. Products take most of such a step, so they say little about the bytes
between them, and nothing about a card.
"""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from vram_advisor.accuracy.processor_rows import Judged, foreseen, judged, read_steps

LEDGER = Path(__file__).parents[2] / "data/measurements/training_speed.csv"


@cache
def own() -> Judged:
    return judged(read_steps(LEDGER))


def test_steps_of_other_shapes_are_foreseen() -> None:
    """Printed in docs/method.md, section 8."""
    assert len(own().rows) == 12
    errors = sorted(abs(row.error) for row in own().rows)
    assert own().median == pytest.approx(0.040, abs=0.005)
    assert errors[-1] == pytest.approx(0.202, abs=0.005)


def test_their_intervals_are_wide() -> None:
    """A calibration of two runs is not believed to better than 18 %, so all are inside where 85 to 95 % are wanted."""
    assert own().inside == len(own().rows)


def test_two_steps_teach_one_factor() -> None:
    teachers = [timed for timed in read_steps(LEDGER) if timed.step.part == "calibrates"]
    assert len({timed.step for timed in teachers}) == 2
    ratios = [float(foreseen(timed).seconds_per_step.mid) / timed.seconds for timed in teachers]
    assert own().factor == pytest.approx(math.sqrt(ratios[0] * ratios[1]))


def test_a_slower_processor_is_foreseen_slower() -> None:
    timed = read_steps(LEDGER)[0]
    half = replace(timed, flop_per_s=timed.flop_per_s / 2)
    slow, fast = (float(foreseen(each).seconds_per_step.mid) for each in (half, timed))
    assert 1.5 < slow / fast < 2
