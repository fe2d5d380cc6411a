"""Which runs a simulated allocator is set beside, and what is said where it is not."""

import threading
from dataclasses import replace

import pytest
from runs import PROCESSOR
from small import trial

pytest.importorskip("torch")

from vram_advisor.calibration.simulated_run import ALIKE, VARIED, followed
from vram_advisor.calibration.simulation import can_be_simulated, with_simulations
from vram_advisor.domain.trial import Measurement
from vram_advisor.units.bytes import MIB

RUN = Measurement(trial=trial(length=64), environment=PROCESSOR, outcome="measured", reserved_bytes=40 * MIB)


def test_one_process_whose_reserved_memory_is_known_is_simulated() -> None:
    assert can_be_simulated(RUN)
    assert can_be_simulated(replace(RUN, trial=replace(RUN.trial, backend="cuda")))
    for other in (
        replace(RUN, reserved_bytes=None),
        replace(RUN, outcome="out_of_memory"),
        replace(RUN, trial=replace(RUN.trial, processes=2)),
        replace(RUN, trial=replace(RUN.trial, backend="mps")),
        replace(RUN, trial=replace(RUN.trial, backend="fake")),
    ):
        assert not can_be_simulated(other)


def test_all_steps_of_varied_lengths_are_followed_up_to_the_last_and_longest() -> None:
    """Steps that are all alike find what they need in the cache after a few."""
    alike = replace(RUN.trial, steps=500)
    assert followed(alike) == range(ALIKE)
    assert followed(replace(alike, steps=2)) == range(2)
    varied = replace(alike, lengths=(30, 64))
    assert followed(varied) == range(500 - VARIED, 500)
    assert followed(replace(varied, steps=4)) == range(4)


def test_a_simulation_that_is_not_finished_costs_no_measurement() -> None:
    stop = threading.Event()
    stop.set()
    runs, notes = with_simulations([RUN, replace(RUN, reserved_bytes=None)], stop=stop)
    assert runs == [RUN, replace(RUN, reserved_bytes=None)]
    assert notes == ("The allocator was not simulated, so only its slack is learnt: The trace was stopped.",)
    _, notes = with_simulations([RUN, RUN], seconds=0.2)
    (note,) = notes
    assert "longer than its limit" in note


def test_nothing_to_simulate_starts_no_worker() -> None:
    fake = replace(RUN, trial=replace(RUN.trial, backend="fake"))
    assert with_simulations([fake]) == ([fake], ())


@pytest.mark.trainers
def test_a_trial_that_does_not_run_is_said_and_the_others_are_simulated() -> None:
    strange = replace(RUN, trial=replace(RUN.trial, plan=replace(RUN.trial.plan, recipe="unsloth")))
    (first, second), notes = with_simulations([strange, RUN])
    assert first == strange
    assert second.simulated_bytes is not None and second.simulated_bytes >= 2 * MIB
    (note,) = notes
    assert "--recipe unsloth does not run here" in note
