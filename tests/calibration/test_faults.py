"""What can go wrong during a calibration, provoked for real: nothing is left behind, and what was measured is kept."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from small import model_folder

from vram_advisor import api
from vram_advisor.calibration.calibrate import Calibrated
from vram_advisor.calibration.lock import only_one
from vram_advisor.domain.protocol import Progress
from vram_advisor.sources.calibrations import stored

pytestmark = pytest.mark.trainers
LAYERS = 2
"""So few that the whole model is run, at two lengths: two runs."""
ON_PROCESSOR = ("--method", "lora", "--backend", "cpu", "--steps", "2")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders for data and for temporary files that only the test uses."""
    for name in ("data", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("VRAM_ADVISOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path


def command(place: Path, *more: object) -> list[str]:
    model = model_folder(place, num_hidden_layers=LAYERS)
    words = ("calibrate", "--model", model, *ON_PROCESSOR, "--sequence-length", 128, *more)
    return [sys.executable, "-m", "vram_advisor", *map(str, words)]


def workers(of: int) -> list[psutil.Process]:
    return psutil.Process(of).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def calibrate_while(place: Path, at: str, fault: Any, **options: Any) -> tuple[Calibrated, list[Progress]]:
    """A calibration in this process; ``fault`` is called once with the worker of the first run at an event."""
    protocol = api.plan_calibration(
        str(model_folder(place, num_hidden_layers=LAYERS)), method="lora", backend="cpu", steps=2, sequence_length=128
    )
    heard: list[Progress] = []

    def hear(event: Progress) -> None:
        heard.append(event)
        if event.run == 1 and event.event == at:
            (worker,) = workers(os.getpid())
            fault(worker)

    return api.calibrate(protocol, hear=hear, **options), heard


def test_a_killed_worker_costs_one_run(place: Path) -> None:
    done, heard = calibrate_while(place, "built", lambda worker: worker.kill())
    assert [event.event for event in heard if event.event in ("measured", "lost")] == ["lost", "measured"]
    assert done.notes == (
        "The run of 1 × 16 tokens is lost: It was killed by the system (SIGKILL), most often because the memory of the "
        "computer ran out.",
    )
    assert len(done.calibration.measurements) == 1
    assert [each.name for each in done.calibration.learnt] == [
        "activation_scale", "slack_scale", "slack_constant", "simulation_scale",
    ]  # fmt: skip
    assert alive(workers(os.getpid())) == []


def test_a_worker_that_never_answers_is_ended_at_the_limit(place: Path) -> None:
    stopped: list[psutil.Process] = []

    def stop(worker: psutil.Process) -> None:
        worker.suspend()
        stopped.append(worker)

    done, heard = calibrate_while(place, "built", stop, time_limit=60)
    (lost,) = (event for event in heard if event.event == "lost")
    assert lost.message == "It took longer than its limit of 60 s and was ended."
    assert len(done.calibration.measurements) == 1
    assert alive(stopped) == []


@pytest.fixture
def running(place: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, as far as its first worker trains."""
    program = subprocess.Popen(command(place, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield program
    program.kill()
    program.communicate()


def heard_until(program: subprocess.Popen[str], event: str) -> None:
    assert program.stdout
    for line in program.stdout:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"it ended before {event}: {program.communicate()[1]}")


@pytest.mark.parametrize("event", ["run", "built"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupt_leaves_nothing_behind(
    place: Path, running: subprocess.Popen[str], number: signal.Signals, event: str
) -> None:
    heard_until(running, event)
    family = workers(running.pid)
    running.send_signal(number)
    output, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert '"calibrated"' not in output
    assert alive(family) == []
    assert list((place / "temporary").iterdir()) == []
    assert [each.name for each in (place / "data").rglob("*")] == ["calibrate.lock"]
    with only_one(place / "data" / "calibrate.lock"):
        pass


def test_a_program_that_is_killed_takes_its_worker_along(running: subprocess.Popen[str]) -> None:
    """Nothing can be tidied up then, but no worker goes on for nobody."""
    heard_until(running, "built")
    family = workers(running.pid)
    assert alive(family)
    running.kill()
    until = time.monotonic() + 10
    while alive(family) and time.monotonic() < until:
        time.sleep(0.1)
    assert alive(family) == []


def test_of_two_calibrations_at_once_one_is_refused(place: Path, running: subprocess.Popen[str]) -> None:
    heard_until(running, "run")
    second = subprocess.run(command(place), capture_output=True, text=True)
    assert second.returncode == 2
    assert f"A calibration is running already (process {running.pid})" in second.stderr
    running.communicate(timeout=300)
    assert running.returncode == 0


@pytest.fixture
def tiny_disk(place: Path) -> Iterator[Path]:
    """A file system of two pages."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_costs_the_file_and_not_the_answer(place: Path, tiny_disk: Path) -> None:
    done = subprocess.run(
        command(place), capture_output=True, text=True, env=os.environ | {"VRAM_ADVISOR_DATA_DIR": str(tiny_disk)}
    )
    assert done.returncode == 3
    assert "What changed" in done.stdout
    said = " ".join(done.stdout.split())
    assert "The calibration could not be kept: " in said
    assert "No space left on device. Nothing was changed." in said
    assert [each.name for each in tiny_disk.rglob("*.json")] == []
    assert [each.name for each in tiny_disk.rglob("*.tmp")] == []


def test_out_of_memory_is_a_bound_and_does_not_end_the_others(place: Path) -> None:
    """The data of the worker is limited to 3 GiB, and a vocabulary of a million asks for more in the long run."""
    folder = model_folder(place, num_hidden_layers=LAYERS, vocab_size=1_000_000, hidden_size=32, intermediate_size=64)
    words = ["calibrate", "--model", str(folder), *ON_PROCESSOR, "--sequence-length", "1024", "--json"]
    limited = subprocess.run(
        [sys.executable, "-m", "vram_advisor", *words],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (3 * 2**30, 3 * 2**30)),
    )
    assert limited.returncode == 0, limited.stderr
    events = [json.loads(line) for line in limited.stdout.splitlines()]
    last = events[-1]
    assert last["event"] == "calibrated"
    outcomes = [each["outcome"] for each in last["calibration"]["measurements"]]
    assert outcomes == ["measured", "out_of_memory"]
    bound = last["calibration"]["measurements"][1]
    assert bound["message"].startswith("Memory ran out: ")
    assert bound["allocated_bytes"] > 100 * 2**20
    assert any("is lost: Memory ran out" in note for note in last["notes"])


def test_a_store_that_was_cut_in_half_is_said_and_not_used(place: Path) -> None:
    calibrate_while(place, "never", None)
    (file,) = (place / "data").rglob("*.json")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert stored().calibrations == ()
    assert str(file) in stored().problems[0]
    check = [sys.executable, "-m", "vram_advisor", "check", "--model", "7b", "--method", "lora", "--gpu", "rtx-4090"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0
    assert "A calibration is not used" in " ".join((done.stdout + done.stderr).split())
