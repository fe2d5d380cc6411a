"""A worker in a process of its own: started, listened to, limited in time, and ended with all that it started.

The worker writes one JSON object per line on its standard output, among them a last one of a kind in ``FINAL``. After
that it keeps its memory until its standard input ends, so that it can be looked at from outside; then it exits. Neither
torch nor a GPU is needed here.
"""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from vram_advisor.calibration import family
from vram_advisor.calibration.interrupts import held_back
from vram_advisor.units.errors import Missing

Message = dict[str, Any]
"""What a worker says: ``event`` names its kind, ``rank`` its process where there are several."""

FINAL = frozenset({"measured", "out_of_memory", "failed", "missing"})
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
KEPT_LINES = 100
"""Last lines of standard error that are kept."""

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
    worker: _Worker | None = None
    try:
        with held_back():
            worker = _Worker(command, ask, Path(folder.name), environment or {})
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


class _Worker:
    """The process and the threads that read it."""

    def __init__(self, command: Sequence[str], ask: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.heard: list[Message] = []
        self.complaints: deque[str] = deque(maxlen=KEPT_LINES)
        self.lines: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.members: list[psutil.Process] = []
        """Processes that introduced themselves."""
        self._gone: bool | None = None
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
        try:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **places, **environment},
                # Out of the terminal's group: an interrupt reaches this process, which ends the worker.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise Missing(f"{command[0]} cannot be started: {error.strerror or error}.") from None
        assert self.process.stdin and self.process.stdout and self.process.stderr
        # Written by a thread: a worker that never reads must not stop who writes.
        self._threads = [
            threading.Thread(target=target, args=arguments, daemon=True)
            for target, arguments in (
                (self._tell, (self.process.stdin, ask)),
                (self._read, (self.process.stdout,)),
                (self._collect, (self.process.stderr,)),
            )
        ]
        for thread in self._threads:
            thread.start()

    def release(self) -> None:
        """Let a worker that holds its memory go."""
        assert self.process.stdin
        with suppress(OSError, ValueError):
            self.process.stdin.close()

    def close(self) -> bool:
        """End what still runs; whether all of it is gone."""
        if self._gone is None:
            self._gone = family.end(self.process, self.members)
            for thread in self._threads:
                thread.join(2.0)
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                # A stream that a thread still waits for is left to the end of the program.
                if stream is not None and not any(thread.is_alive() for thread in self._threads):
                    with suppress(OSError):
                        stream.close()
        return self._gone

    def introduced(self, message: Message) -> None:
        """Remember a process of the family by its own word."""
        pid = message.get("pid")
        if isinstance(pid, int) and pid > 0:
            with suppress(psutil.Error):
                self.members.append(psutil.Process(pid))

    def _tell(self, stream: IO[bytes], text: str) -> None:
        with suppress(OSError, ValueError):
            stream.write(text.encode() + b"\n")
            stream.flush()

    def _read(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                if isinstance(message, dict) and isinstance(message.get("event"), str):
                    self.lines.put(message)
                else:
                    self.complaints.append(line.decode(errors="replace").rstrip())
        self.lines.put(None)

    def _collect(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                self.complaints.append(line.decode(errors="replace").rstrip())


def _listen(
    worker: _Worker,
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
