"""A sweep that is killed again and again writes the file that it would have written at once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

QUESTIONS = {
    "models": [
        "llama-2-7b", "llama-2-13b", "llama-3.1-8b", "mistral-7b", "qwen2.5-7b", "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b",
        "qwen3-8b", "qwen3-14b", "gemma-2-9b", "phi-4",
    ],
    "gpus": ["rtx-5070", "rtx-4090", "h100-sxm"],
    "micro_batch_size": [1, 2, 4, 8],
    "sequence_length": [512, 2048, 8192],
    "plans": [{"method": "lora", "lora_r": [8, 64]}, {"method": "qlora"}, {"method": "full"}],
}  # fmt: skip


def start(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    """The command, in a group of its own."""
    command = [sys.executable, "-m", "vram_advisor", "sweep", "--questions", str(folder / "questions.json"), "--json"]
    return subprocess.Popen(
        [*command, "--output", str(folder / name), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the questions."""
    (tmp_path / "questions.json").write_text(json.dumps(QUESTIONS))
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL under Windows")
def test_killed_ten_times_and_resumed_it_writes_the_same_file(folder: Path) -> None:
    whole = start(folder, "whole.parquet")
    began = time.monotonic()
    said, complaint = whole.communicate(timeout=300)
    assert whole.returncode == 0, complaint
    rows, lasted = json.loads(said)["rows"], time.monotonic() - began
    moments, workers = random.Random(20), list[psutil.Process]()
    for _ in range(10):
        running = start(folder, "rows.parquet")
        began = time.monotonic()
        moment = moments.uniform(0.1, 0.9) * lasted
        while time.monotonic() - began < moment and running.poll() is None:
            time.sleep(0.02)
        with suppress(psutil.NoSuchProcess):
            workers = psutil.Process(running.pid).children(recursive=True)
        running.kill()
        running.communicate(timeout=60)
        # Processes that estimate end with the one that started them.
        psutil.wait_procs(workers, timeout=30)
        assert not [each for each in workers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        if (folder / "rows.parquet").exists():
            break
    ended = (folder / "rows.parquet").exists()
    running = start(folder, "rows.parquet")
    said, complaint = running.communicate(timeout=300)
    # One that was killed after its last row has nothing left to do but to tidy up.
    assert running.returncode == (2 if ended else 0), complaint
    assert ended or json.loads(said)["rows"] == rows
    assert (folder / "rows.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["questions.json", "rows.parquet", "whole.parquet"]


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are signalled otherwise under Windows")
def test_interrupted_it_says_how_to_go_on(folder: Path) -> None:
    running = start(folder, "rows.csv", "--processes", "2")
    journal = folder / "rows.csv.sweep"
    while not list(journal.glob("*.npz")) and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    said, complaint = running.communicate(timeout=60)
    assert running.returncode == 130, complaint
    assert said == ""
    assert "the same command goes on from there" in complaint
    assert "Traceback" not in complaint
    assert sorted(path.name for path in folder.iterdir()) == ["questions.json", "rows.csv.sweep"]
    # A process that writes the file already is not disturbed.
    first = start(folder, "rows.csv")
    while not (folder / "rows.csv.part").exists() and first.poll() is None:
        time.sleep(0.01)
    second = start(folder, "rows.csv")
    _, complaint = second.communicate(timeout=60)
    said = first.communicate(timeout=300)[1]
    assert first.returncode == 0, said
    assert second.returncode == 2 and ("is running already" in complaint or "is there already" in complaint)
