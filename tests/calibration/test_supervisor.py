"""A worker process is listened to, limited in time, and ended with all that it started.

The workers here are small programs that speak the protocol of the real one.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from vram_advisor.calibration.supervisor import Ending, Limits, supervise
from vram_advisor.calibration.worker_process import Message
from vram_advisor.units.errors import Missing

SPEAKS = """
import json, os, subprocess, sys, time
def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)
"""
Run = Callable[..., Ending]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a program under supervision in a folder of its own for temporary files, which has to be empty afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def call(
        program: str, ask: str = "{}", hear: Callable[[Message], None] = lambda message: None, **more: Any
    ) -> Ending:
        command = [sys.executable, "-c", SPEAKS + textwrap.dedent(program)]
        try:
            return supervise(command, ask, more.pop("limits", Limits(20, 10)), hear, **more)
        finally:
            assert list(tmp_path.iterdir()) == []

    return call


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_it_says_is_heard_in_order_and_what_it_is_asked_reaches_it(run: Run) -> None:
    heard: list[Message] = []
    ending = run(
        """
        ask = json.loads(sys.stdin.readline())
        say("started", pid=os.getpid())
        say("step", step=ask["steps"])
        say("measured")
        """,
        ask=json.dumps({"steps": 3}),
        hear=heard.append,
    )
    assert [message["event"] for message in heard] == ["started", "step", "measured"]
    assert heard[1]["step"] == 3
    assert (ending.how, ending.code, ending.signal) == ("ended", 0, None)
    assert ending.messages == tuple(heard)


def test_other_output_is_no_message(run: Run) -> None:
    ending = run("print('loading'); print('[1]'); print('{}'); sys.stderr.write('a warning\\n'); say('measured')")
    assert [message["event"] for message in ending.messages] == ["measured"]
    assert {"loading", "[1]", "{}", "a warning"} == set(ending.complaints)


def test_memory_is_held_while_the_last_word_is_heard(run: Run) -> None:
    """The worker exits when its input ends, and that is after its last word has been heard."""
    order: list[str] = []

    def hear(message: Message) -> None:
        time.sleep(0.3)
        order.append("alive" if alive(message["pid"]) else "gone")

    ending = run("sys.stdin.readline(); say('measured', pid=os.getpid()); sys.stdin.read(); sys.exit(0)", hear=hear)
    assert (order, ending.code) == (["alive"], 0)


def test_every_process_says_its_last_word(run: Run) -> None:
    ending = run(
        """
        sys.stdin.readline()
        say("measured", rank=0)
        time.sleep(0.3)
        say("measured", rank=1)
        sys.stdin.read()
        """,
        processes=2,
    )
    assert [message["rank"] for message in ending.messages] == [0, 1]


def test_a_worker_that_never_answers_is_ended_after_its_silence(run: Run) -> None:
    began = time.monotonic()
    ending = run("say('started', pid=os.getpid()); time.sleep(60)", limits=Limits(30, 1))
    assert ending.how == "timed_out"
    assert ending.reason == "It gave no sign for 1 s and was ended."
    assert not alive(ending.messages[0]["pid"])
    assert time.monotonic() - began < 10


def test_a_worker_that_talks_without_end_is_ended_after_its_time(run: Run) -> None:
    ending = run("while True:\n    say('step')\n    time.sleep(0.05)", limits=Limits(1, 30))
    assert ending.how == "timed_out"
    assert ending.reason == "It took longer than its limit of 1 s and was ended."


def test_a_worker_that_never_reads_a_long_question_is_ended(run: Run) -> None:
    ending = run("time.sleep(60)", ask="x" * 4_000_000, limits=Limits(30, 1))
    assert ending.how == "timed_out"


def test_a_worker_that_keeps_still_after_its_last_word_is_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vram_advisor.calibration.supervisor.EXIT_PATIENCE", 0.5)
    ending = run("say('measured', pid=os.getpid()); time.sleep(60)")
    assert ending.how == "ended"
    assert not alive(ending.messages[0]["pid"])


def test_the_signal_that_ended_it_is_named(run: Run) -> None:
    ending = run("say('started'); os.kill(os.getpid(), 9)")
    assert (ending.how, ending.signal) == ("ended", "SIGKILL")


@pytest.mark.parametrize(
    "words",
    ["raise MemoryError", "sys.exit('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB')"],
)
def test_last_words_of_a_program_without_memory_are_known(run: Run, words: str) -> None:
    assert run(words).ran_out_of_memory


def test_another_failure_is_no_lack_of_memory(run: Run) -> None:
    ending = run("raise ValueError('bad shape')")
    assert not ending.ran_out_of_memory
    assert ending.complaints[-1] == "ValueError: bad shape"


@pytest.mark.parametrize("detached", [False, True], ids=["same session", "session of its own"])
def test_what_the_worker_started_ends_with_it(run: Run, detached: bool) -> None:
    """Launchers of several processes give each a session of its own."""
    ending = run(
        f"""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={detached})
        say("started", child=child.pid)
        time.sleep(60)
        """,
        limits=Limits(30, 1),
    )
    assert not alive(ending.messages[0]["child"])


def test_what_introduced_itself_ends_although_its_launcher_has_died(run: Run) -> None:
    rank = SPEAKS + "say('started', pid=os.getpid()); time.sleep(60)"
    ending = run(
        f"""
        subprocess.Popen([sys.executable, "-c", {rank!r}], start_new_session=True)
        time.sleep(1)
        os.kill(os.getpid(), 9)
        """
    )
    assert ending.signal == "SIGKILL"
    assert not alive(ending.messages[0]["pid"])


def test_another_thread_can_stop_it(run: Run) -> None:
    stop = threading.Event()
    ending = run("say('started'); time.sleep(60)", hear=lambda message: stop.set(), stop=stop)
    assert ending.how == "stopped"


def test_what_the_listener_raises_ends_the_worker(run: Run) -> None:
    pids: list[int] = []

    def hear(message: Message) -> None:
        pids.append(message["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("say('started', pid=os.getpid()); time.sleep(60)", hear=hear)
    assert not alive(pids[0])


INTERRUPTED = """
import sys, tempfile
from vram_advisor.calibration.supervisor import Limits, supervise
tempfile.tempdir = sys.argv[1]
worker = "import json, os, time; print(json.dumps({'event': 'started', 'pid': os.getpid()}), flush=True); time.sleep(60)"
supervise([sys.executable, "-c", worker], "{}", Limits(60, 60), lambda message: print(message["pid"], flush=True))
"""


@pytest.mark.parametrize("times", [1, 3], ids=["once", "three times"])
def test_an_interrupt_leaves_no_process_and_no_file(tmp_path: Path, times: int) -> None:
    """More interrupts while the first is answered change nothing."""
    program = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout
    pid = int(program.stdout.readline())
    assert alive(pid)
    assert list(tmp_path.iterdir())
    for _ in range(times):
        program.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, errors = program.communicate(timeout=20)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no-such-program cannot be started: No such file or directory"):
        supervise(["no-such-program"], "{}", Limits(), lambda message: None)


def test_no_descriptor_stays_open(run: Run) -> None:
    run("say('measured')")
    before = len(os.listdir("/proc/self/fd"))
    run("say('measured')")
    assert len(os.listdir("/proc/self/fd")) == before
