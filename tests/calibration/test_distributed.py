"""Trials on several devices: here two processes on the processor, which talk by gloo."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from small import trial

from vram_advisor.calibration.place import Place
from vram_advisor.calibration.prediction import predicting
from vram_advisor.calibration.priors import backend_coefficients
from vram_advisor.calibration.supervisor import Limits
from vram_advisor.calibration.trial_run import run_trial
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.trial import Measurement, Trial
from vram_advisor.units.errors import NotModelled

pytestmark = pytest.mark.trainers


def measured(trial: Trial) -> tuple[Measurement, ...]:
    return run_trial(trial, Place("cpu"), Limits(300, 150), lambda message: None)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_process_of_ddp_measures_the_same(method: str) -> None:
    first, second = measured(trial(method, levers=Plan(num_gpus=2, sharding="ddp")))
    assert (first.outcome, first.rank, second.rank) == ("measured", 0, 1)
    assert first.phase_bytes == second.phase_bytes
    predicted = predicting(first)(backend_coefficients("cpu"))
    assert predicted.allocated_bytes == pytest.approx(first.allocated_bytes, rel=0.005)
    assert predicted.resident_bytes == pytest.approx(first.resident_bytes, rel=0.005)


def test_fsdp_keeps_half_of_everything_between_steps() -> None:
    """Each process has its half of weights, gradients and states; layers are whole while they run."""
    alone, *_ = measured(trial("full"))
    first, second = measured(trial("full", levers=Plan(num_gpus=2, sharding="fsdp_full")))
    assert first.outcome == second.outcome == "measured"
    assert first.resident_bytes == pytest.approx(alone.resident_bytes / 2, rel=0.01)
    assert first.resident_bytes < first.phase_bytes["forward"] < first.allocated_bytes < alone.allocated_bytes


def test_weights_that_are_kept_after_the_forward_pass_take_more() -> None:
    full, _ = measured(trial("full", layers=4, levers=Plan(num_gpus=2, sharding="fsdp_full")))
    kept, _ = measured(trial("full", layers=4, levers=Plan(num_gpus=2, sharding="fsdp_grad_op")))
    assert kept.phase_bytes["loss_forward"] > full.phase_bytes["loss_forward"]
    assert kept.resident_bytes == full.resident_bytes


def test_quantised_weights_are_not_sharded() -> None:
    with pytest.raises(NotModelled, match="use --sharding ddp"):
        measured(trial("qlora", levers=Plan(quantization="nf4_double", num_gpus=2, sharding="fsdp_full")))


def test_a_failure_of_all_processes_is_one_of_each() -> None:
    found = measured(trial(levers=Plan(num_gpus=2, sharding="ddp"), num_key_value_heads=3))
    assert {each.rank for each in found} == {0, 1}
    assert {each.outcome for each in found} == {"failed"}
