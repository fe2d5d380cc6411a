"""A worker in a process of its own: started, listened to, limited in time, and ended with all that it started.

The worker writes one JSON object per line on its standard output, among them a last one of a kind in ``FINAL``. After
that it keeps its memory until its standard input ends, so that it can be looked at from outside; then it exits. Neither
torch nor a GPU is needed here.
"""

import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vram_advisor.calibration.interrupts import held_back
from vram_advisor.calibration.worker_process import Message, WorkerProcess
from vram_advisor.units.errors import Missing

FINAL = frozenset({"measured", "out_of_memory", "failed", "missing", "refused"})
"""Events after which a worker says nothing more."""
OUT_OF_MEMORY = (
    "out of memory", "outofmemoryerror", "memoryerror", "can't allocate memory", "cannot allocate memory",
    "cublas_status_alloc_failed",
)  # fmt: skip
"""What PyTorch, its CPU allocator, drivers and Python write where memory runs out."""

TICK = 0.1
"""How often limits are looked at [s]."""
EXIT_PATIENCE = 15.0
"""How long a worker that has said its last word may take to exit [s]."""
END_PATIENCE = 1.0
"""How long the output of a dead worker may stay open [s]."""

How = Literal["ended", "timed_out", "stopped"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take."""

    seconds: float = 900.0
    """In all [s]."""
    silence: float = 300.0
    """Without a word [s]."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended, and what it said."""

    how: How
    """timed_out, stopped: it was ended from here."""
    code: int | None
    """Exit code, negative: number of the signal; None: it could not be ended."""
    messages: tuple[Message, ...]
    complaints: tuple[str, ...]
    """Last lines of its standard error."""
    seconds: float
    reason: str = ""
    """Which limit was reached, in a sentence."""

    @property
    def signal(self) -> str | None:
        """Name of the signal that ended it."""
        if self.how != "ended" or self.code is None or self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether its last words were those of a program without memory."""
        said = "\n".join(self.complaints[-20:]).lower()
        return self.how == "ended" and self.code != 0 and any(words in said for words in OUT_OF_MEMORY)


def supervise(
    command: Sequence[str],
    ask: str,
    limits: Limits,
    hear: Callable[[Message], None],
    *,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> Ending:
    """Run a worker to its end.

    Whatever happens, an interrupt included, no process and no file of it is left when this returns or raises.

    Args:
        command: program and arguments.
        ask: what it is told on standard input, one line.
        limits: how long it may take and how long be silent.
        hear: called with each message while the worker waits or goes on; what it raises ends the worker.
        processes: how many last words are waited for.
        environment: variables on top of those of this process.
        stop: set by another thread to end the worker.

    Raises:
        Missing: it cannot be started.
    """
    began = time.monotonic()
    try:
        folder = tempfile.TemporaryDirectory(prefix="vram-advisor-", ignore_cleanup_errors=True)
    except OSError as error:
        raise Missing(f"A folder for temporary files cannot be made: {error.strerror or error}.") from None
    worker: WorkerProcess | None = None
    try:
        with held_back():
            worker = WorkerProcess(command, ask, Path(folder.name), environment or {})
        how, reason = _listen(worker, limits, hear, processes, stop, began)
        with held_back():
            gone = worker.close()
    finally:
        with held_back():
            if worker is not None:
                worker.close()
            folder.cleanup()
    if not gone:
        reason = f"{reason} It waits in a driver and cannot be ended (process {worker.process.pid}).".strip()
    code = worker.process.returncode
    return Ending(how, code, tuple(worker.heard), tuple(worker.complaints), time.monotonic() - began, reason)


def _listen(
    worker: WorkerProcess,
    limits: Limits,
    hear: Callable[[Message], None],
    processes: int,
    stop: threading.Event | None,
    began: float,
) -> tuple[How, str]:
    """Hear a worker until it ends, is stopped or is late."""
    last_words = 0
    heard_at = time.monotonic()
    exit_by = began + limits.seconds
    died_at: float | None = None
    released = False
    while True:
        now = time.monotonic()
        if stop is not None and stop.is_set():
            return "stopped", "It was stopped."
        if now > exit_by and released:
            # All that was asked is said, and only the exit is late; or others wait for a process that has failed.
            return ("ended", "") if last_words >= processes else ("stopped", "Another process of the run failed.")
        if now > exit_by:
            return "timed_out", f"It took longer than its limit of {limits.seconds:.0f} s and was ended."
        if now - heard_at > limits.silence:
            return "timed_out", f"It gave no sign for {limits.silence:.0f} s and was ended."
        try:
            message = worker.lines.get(timeout=TICK)
        except queue.Empty:
            if worker.process.poll() is not None:
                died_at = died_at or now
                # What it started may still hold its output open.
                if now - died_at > END_PATIENCE:
                    return "ended", ""
            continue
        if message is None:
            try:
                worker.process.wait(EXIT_PATIENCE)
            except subprocess.TimeoutExpired:
                return "timed_out", "It closed its output but did not exit, and was ended."
            return "ended", ""
        heard_at = now
        worker.heard.append(message)
        worker.introduced(message)
        hear(message)
        if message["event"] in FINAL:
            last_words += 1
            if last_words >= processes or message["event"] != "measured":
                worker.release()
                released = True
                exit_by = min(exit_by, time.monotonic() + EXIT_PATIENCE)
