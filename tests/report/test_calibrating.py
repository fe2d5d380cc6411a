"""A calibration in words."""

import json
from dataclasses import replace

import pytest
from golden import assert_golden
from json_schema import problems
from sample_runs import CARD, DONE, PROTOCOL, RUNS

from vram_advisor.domain.protocol import Progress, Protocol
from vram_advisor.report.calibrating import calibrated_lines, plan_lines, progress_line
from vram_advisor.report.calibration_document import calibrated_document, planned_document, progress_document
from vram_advisor.report.look import Look
from vram_advisor.report.schema import schema
from vram_advisor.units.bytes import GIB


@pytest.mark.parametrize("width", [80, 120])
def test_what_will_run(width: int) -> None:
    assert_golden(f"calibrate_plan_{width}.txt", Look().painted(plan_lines(PROTOCOL, width)))


@pytest.mark.parametrize("width", [80, 120])
def test_what_was_learnt(width: int) -> None:
    assert_golden(f"calibrate_done_{width}.txt", Look().painted(calibrated_lines(DONE, width)))


def test_of_the_phases_of_a_run_the_worst_is_shown() -> None:
    text = Look().painted(calibrated_lines(DONE, 120))
    assert "3.200 GiB" in text
    assert "2.520 GiB" not in text


def test_what_was_learnt_without_a_gpu_is_said_to_stay_there() -> None:
    done = replace(DONE, protocol=Protocol(PROTOCOL.model, RUNS, "cpu", CARD))
    assert "does not correct answers about one" in " ".join(Look().painted(calibrated_lines(done, 80)).split())


def test_a_calibration_that_teaches_nothing_says_so() -> None:
    done = replace(DONE, calibration=replace(DONE.calibration, learnt=()), saved=None)
    assert "Nothing changed" in Look().painted(calibrated_lines(done, 80))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Progress(event="run", run=1, runs=4), "░░░░░░░░░░░░░░░░░░░░ run 1 of 4, 3 layers, 1 × 256 tokens: starting PyTorch"),
        (
            Progress(event="step", run=3, runs=4, step=2, steps=3, allocated_bytes=3 * GIB),
            "█████████████░░░░░░░ run 3 of 4, 3 layers, 1 × 2,048 tokens: step 2 of 3, 3.00 GiB allocated",
        ),
        (
            Progress(event="measured", run=2, runs=4),
            "██████████░░░░░░░░░░ run 2 of 4, 4 layers, 1 × 256 tokens: measured",
        ),
        (Progress(event="fitted"), ""),
    ],
)  # fmt: skip
def test_how_far_it_is(event: Progress, line: str) -> None:
    assert progress_line(event, PROTOCOL, unicode=True) == line
    assert progress_line(event, PROTOCOL, unicode=False).isascii()


def test_events_are_objects_of_what_applies() -> None:
    assert progress_document(Progress(event="run", run=1, runs=4)) == {"event": "run", "run": 1, "runs": 4}
    assert planned_document(PROTOCOL)["runs"][0] == {
        "layers": 3, "micro_batch_size": 1, "sequence_length": 256, "steps": 3, "needed_bytes": 4 * GIB, "seconds": 16,
    }  # fmt: skip


def test_events_follow_their_schemas() -> None:
    final = json.loads(json.dumps(calibrated_document(DONE)))
    assert problems(json.loads(json.dumps(planned_document(PROTOCOL))), schema("planned")) == []
    assert problems(final, schema("calibrated")) == []
    for event in (
        Progress(event="step", run=3, runs=4, step=2, steps=3, allocated_bytes=GIB, seconds=0.5),
        Progress(event="lost", run=1, runs=4, message="out of memory"),
        Progress(event="fitted"),
    ):
        assert problems(progress_document(event), schema("progress")) == []
    del final["compared"][0]["figure"]
    assert problems(final, schema("calibrated")) != []


def test_the_last_event_has_everything() -> None:
    document = calibrated_document(DONE)
    assert document["calibration"]["learnt"][0]["value"] == 1.021
    assert document["compared"][2]["measured_bytes"] == 3.7 * GIB
    assert document["compared"][4]["measured_seconds"] == 0.28
    assert document["saved"] is not None and document["saved"].endswith(".json")
