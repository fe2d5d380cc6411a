"""One calibration at a time, whatever became of the last one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vram_advisor.calibration.lock import only_one
from vram_advisor.units.errors import BadInput, Missing

HOLD = """
import sys, time
from pathlib import Path
from vram_advisor.calibration.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(file: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    file = tmp_path / "data" / "calibrate.lock"
    process = holding(file)
    try:
        with pytest.raises(BadInput, match=f"running already \\(process {process.pid}\\)"), only_one(file):
            pass
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "calibrate.lock"
    process = holding(file)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert file.exists()
    with only_one(file):
        assert file.read_text().strip() == str(os.getpid())


def test_a_file_that_was_left_behind_is_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "calibrate.lock"
    file.write_text(f"{os.getppid()}\n")
    with only_one(file):
        pass
    with only_one(file):
        pass


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    file = tmp_path / "calibrate.lock"
    with pytest.raises(ZeroDivisionError), only_one(file):
        raise ZeroDivisionError
    with only_one(file):
        pass


def test_a_worker_does_not_inherit_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "calibrate.lock"
    with only_one(file):
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        with only_one(file):
            pass
    finally:
        worker.kill()
        worker.wait()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match="cannot be written"), only_one(tmp_path / "file" / "calibrate.lock"):
        pass
