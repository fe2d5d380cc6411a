"""The worker runs a trial of the real training code and says what it measures."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import psutil
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from small import trial

from vram_advisor.calibration.place import Place
from vram_advisor.calibration.supervisor import Limits
from vram_advisor.calibration.trial_run import run_trial
from vram_advisor.calibration.worker_process import Message
from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.trial import Measurement, Trial
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.errors import Missing, NotModelled

pytestmark = pytest.mark.trainers
LIMITS = Limits(300, 120)
PHASES = ["forward", "loss_forward", "loss_backward", "backward_first", "backward_last", "clip", "optimizer_step"]


def measured(trial: Trial) -> tuple[Measurement, list[Message]]:
    heard: list[Message] = []
    (found,) = run_trial(trial, Place(trial.backend), LIMITS, heard.append)
    return found, heard


@pytest.fixture(scope="module")
def usual() -> Measurement:
    """One run that several tests look at."""
    return measured(trial(length=256))[0]


def test_it_says_what_happens_and_nothing_else_on_standard_output() -> None:
    """What libraries print goes to standard error, and the last word holds until standard input ends."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "vram_advisor.calibration.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(json.dumps(asdict(trial())) + "\n")
    worker.stdin.flush()
    said: list[dict[str, Any]] = []
    for line in worker.stdout:
        said.append(json.loads(line))
        if said[-1]["event"] == "measured":
            break
    assert worker.poll() is None
    rest, _ = worker.communicate(timeout=60)
    assert (rest, worker.returncode) == ("", 0)
    assert [each["event"] for each in said if each["event"] != "phase"] == [
        "hello", "started", "built", "step", "step", "step", "measured",
    ]  # fmt: skip
    assert [(each["step"], each["steps"]) for each in said if each["event"] == "step"] == [(1, 3), (2, 3), (3, 3)]
    assert said[1]["versions"]["torch"]
    assert list(said[-1]["phase_bytes"]) == PHASES


def test_figures_of_a_run_hang_together(usual: Measurement) -> None:
    assert usual.outcome == "measured"
    assert usual.allocated_bytes == max(usual.phase_bytes.values())
    assert usual.reserved_bytes is not None
    assert usual.resident_bytes is not None
    assert usual.resident_bytes < min(usual.phase_bytes.values()) < usual.allocated_bytes <= usual.reserved_bytes
    assert usual.environment.versions["transformers"]
    assert usual.step_seconds is not None
    assert usual.tokens_per_second == pytest.approx(256 / usual.step_seconds)
    assert (usual.process_bytes, usual.context_bytes, usual.watts) == (None, None, None)


def test_a_run_repeats_to_the_byte(usual: Measurement) -> None:
    again, _ = measured(trial(length=256))
    assert again.phase_bytes == usual.phase_bytes
    assert again.resident_bytes == usual.resident_bytes


def test_tensors_without_memory_are_alive_like_real_ones(usual: Measurement) -> None:
    """The same step on the processor and traced: what is alive between steps and at the peak is the same."""
    fake, _ = measured(trial(length=256, backend="fake"))
    assert fake.resident_bytes == pytest.approx(usual.resident_bytes, rel=1e-3)
    assert fake.allocated_bytes == pytest.approx(usual.allocated_bytes, rel=1e-3)
    assert fake.step_seconds is None


def test_sequences_are_padded_to_the_longest_of_their_batch(usual: Measurement) -> None:
    """Two examples of at most half the length need what one of the whole length needs."""
    examples = replace(trial(length=128, batch=2), lengths=(16, 32, 64, 64, 40, 128))
    found, _ = measured(examples)
    assert found.allocated_bytes == pytest.approx(usual.allocated_bytes, rel=0.02)


def test_what_the_driver_counts_for_the_worker_is_part_of_the_measurement() -> None:
    """A driver that lists this process's children with 900 MiB each, while another program takes 1 GiB."""
    used: list[int] = []

    def look() -> list[GpuSnapshot]:
        workers = tuple(GpuProcess(each.pid, None, 900 * MIB) for each in psutil.Process().children())
        others = GIB if used else 0
        used.append(len(workers) * 900 * MIB + others)
        return [
            GpuSnapshot(
                index=0, name="A card", vendor="NVIDIA", total_bytes=24 * GIB, free_bytes=24 * GIB - used[-1],
                used_bytes=used[-1], power_w=150.0, processes=workers,
            )
        ]  # fmt: skip

    # Power is what is drawn during steps: enough of them for a look to fall into them.
    (found,) = run_trial(replace(trial(), steps=60), Place("cpu", look=look), LIMITS, lambda message: None)
    assert found.reserved_bytes is not None
    assert found.process_bytes == 900 * MIB
    assert found.context_bytes == 900 * MIB - found.reserved_bytes
    assert found.disturbed_bytes == GIB
    assert found.watts == 150.0


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"levers": Plan(recipe="unsloth")}, NotModelled, "--recipe unsloth does not run here"),
        ({"model_type": "llama_of_tomorrow"}, NotModelled, "has no code for llama_of_tomorrow"),
        ({"backend": "cuda"}, Missing, "cannot use an NVIDIA GPU here: .* --backend cpu"),
    ],
    ids=["recipe", "architecture", "no GPU"],
)
def test_what_does_not_run_is_refused_by_name(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    if changes.get("backend") == "cuda":
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
    with pytest.raises(error, match=words):
        measured(trial(**changes))


def test_a_failure_of_the_training_code_is_said_in_one_line() -> None:
    found, _ = measured(trial(num_key_value_heads=3))
    assert found.outcome == "failed"
    assert found.message.startswith("The training code failed: ")
    assert found.message.isprintable()
