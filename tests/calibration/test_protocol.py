"""Which runs a calibration makes."""

from dataclasses import replace

import pytest

from vram_advisor.calibration.protocol import FAR_APART, SHORTEST, Asked, plan_runs
from vram_advisor.domain.architectures import build
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.protocol import Protocol
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Backend
from vram_advisor.memory.setup import resolved
from vram_advisor.sources.catalog_models import find_record
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput, NotModelled


def card(free_gib: float) -> Device:
    return Device(
        name="A card", count=1, source="detected", total_bytes=int((free_gib + 1) * GIB),
        free_bytes=int(free_gib * GIB), sm_count=46, compute_capability="8.9",
    )  # fmt: skip


def asked(
    model: str = "llama-3.1-8b",
    device: Device | None = None,
    backend: Backend = "cuda",
    workload: Workload | None = None,
    levers: Plan | None = None,
    **others: object,
) -> Asked:
    workload, levers = workload or Workload(method="lora"), levers or Plan()
    config = find_record(model).config
    plan = resolved(workload, levers, recipe(levers.recipe))
    return Asked(config, build(config, id=model), workload, plan, backend, device or card(24), **others)  # type: ignore[arg-type]


def lengths(protocol: Protocol) -> set[int]:
    return {run.trial.workload.sequence_length for run in protocol.runs}


def test_two_small_depths_and_two_lengths_far_apart() -> None:
    protocol = plan_runs(asked())
    assert {(run.depth, run.trial.workload.sequence_length) for run in protocol.runs} == {
        (depth, length) for depth in (3, 4) for length in (256, 2048)
    }
    for run in protocol.runs:
        assert run.trial.config["num_hidden_layers"] == run.depth == run.model.num_hidden_layers
        assert run.trial.config["hidden_size"] == 4096
    assert protocol.notes == ()


def test_depths_are_whole_periods_of_the_layers() -> None:
    protocol = plan_runs(asked("gemma-3-27b"))
    depths = {run.depth for run in protocol.runs}
    assert max(depths) - min(depths) == 6


def test_the_small_runs_come_first() -> None:
    needs = [run.needed_bytes for run in plan_runs(asked()).runs]
    assert needs == sorted(needs)


def test_the_whole_model_runs_where_that_is_asked_and_fits() -> None:
    protocol = plan_runs(asked(full=True))
    assert {run.depth for run in protocol.runs} == {32}
    assert protocol.needed_bytes > 16 * GIB


def test_the_whole_model_is_refused_where_it_does_not_fit() -> None:
    with pytest.raises(
        BadInput, match=r"The whole model at 1 × 64 tokens may need 1\d.\d\d GiB, and A card has 8.00 GiB"
    ):
        plan_runs(asked(device=card(8), full=True))


@pytest.mark.parametrize("free_gib", [4, 6, 8, 12, 24])
def test_every_run_fits(free_gib: float) -> None:
    workload = Workload(method="lora", sequence_length=16384)
    protocol = plan_runs(asked(device=card(free_gib), workload=workload))
    assert protocol.needed_bytes <= free_gib * GIB


def test_sequences_are_shortened_on_a_small_card_and_that_is_said() -> None:
    workload = Workload(method="lora", sequence_length=16384)
    protocol = plan_runs(asked(device=card(6), workload=workload))
    short, long = sorted(lengths(protocol))
    assert SHORTEST <= long < 16384
    assert long == FAR_APART * short
    assert protocol.notes[0].startswith(f"Sequences are shortened from 16,384 to {long:,} tokens")


def test_a_card_too_small_for_two_depths_runs_the_smaller() -> None:
    assert {run.depth for run in plan_runs(asked(device=card(4))).runs} == {3}


def test_what_fits_at_no_length_is_refused_with_what_is_free() -> None:
    with pytest.raises(BadInput, match=r"Even 3 layers of llama-3.1-8b at 1 × 64 tokens may need .* has 1.00 GiB free"):
        plan_runs(asked(device=card(1)))


def test_on_a_processor_no_step_takes_long() -> None:
    protocol = plan_runs(asked(backend="cpu", device=card(64)))
    assert max(lengths(protocol)) < 2048
    assert "takes too long on a processor" in protocol.notes[0]
    assert "simulated allocator" in protocol.notes[1]


def test_a_model_without_an_estimate_is_not_calibrated() -> None:
    workload = Workload(method="qlora")
    with pytest.raises(NotModelled):
        plan_runs(asked(workload=workload, levers=Plan(quantization="fp8")))


EXAMPLES = (100, 900, 50, 3000, 700)


def test_a_dataset_gives_the_lengths_in_order_and_the_longest_in_a_step_that_counts() -> None:
    workload = Workload(method="lora", sequence_length=2048, micro_batch_size=2)
    protocol = plan_runs(asked(workload=workload, lengths=EXAMPLES, steps=3))
    sampled = [run.trial for run in protocol.runs if run.trial.lengths]
    for trial in sampled:
        assert trial.lengths == (100, 900, 50, 2048, 700, 2048)
        assert (trial.workload.lengths, trial.workload.padding) == ("varied", "padded")
        assert trial.workload.sequence_length == 2048
    assert {run.depth for run in protocol.runs if run.trial.lengths} == {3, 4}


def test_a_dataset_of_short_examples_needs_no_long_run() -> None:
    assert max(lengths(plan_runs(asked(lengths=(90, 120, 60))))) == 120


def test_several_processes_run_on_as_many_devices() -> None:
    plan = Plan(num_gpus=2, sharding="ddp")
    protocol = plan_runs(asked(device=replace(card(24), count=2), levers=plan))
    assert {run.trial.processes for run in protocol.runs} == {2}
