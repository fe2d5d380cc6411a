"""How fast the terminal app is: from the shell to its first answer, from a key to new numbers, and at rest.

    python benchmarks/tui.py [ROUNDS]

The program runs in a pseudo-terminal of 120 x 36 and is timed from outside: by the bytes that it writes. Processor
time is printed beside the start, because it suffers less from whatever else the machine does.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path

import psutil

FIRST, KEY, IDLE = 1.0, 0.05, 0.02
"""Limits: seconds to the first answer, seconds from a key to its numbers, share of one processor at rest."""
ROUNDS = 5
KEYS = 20
RESTS = 10.0
"""Seconds of rest that are measured."""
SCRIPT = Path(sys.executable).with_name("vram-advisor")
DOWN, RIGHT, LEFT, QUIT = b"\x1b[B", b"\x1b[C", b"\x1b[D", b"q"
STEPS_TO_BATCH = 5
"""Rows of the form from the model to the batch."""


class Session:
    """The app in a pseudo-terminal."""

    def __init__(self, cache: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPYCACHEPREFIX": cache, "HF_HUB_OFFLINE": "1"}
        for name in ("COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def wait(self, wanted: bytes, seconds: float = 30.0) -> float:
        """Seconds until the app has written a text."""
        start, seen = time.perf_counter(), b""
        while wanted not in seen:
            if time.perf_counter() - start > seconds:
                raise TimeoutError(f"{wanted!r} did not come")
            if select.select([self.master], [], [], 0.1)[0]:
                seen += os.read(self.master, 1 << 16)
        return time.perf_counter() - start

    def drain(self, seconds: float) -> None:
        """Throw away what comes."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.master], [], [], left)[0]:
                os.read(self.master, 1 << 16)

    def key(self, code: bytes, wanted: bytes) -> float:
        """Seconds from a key to a text."""
        os.write(self.master, code)
        return self.wait(wanted)

    def processor_seconds(self) -> float:
        """Processor time so far [s]."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Quit by the key."""
        os.write(self.master, QUIT)
        with suppress(OSError):
            # The other end is closed when the program has ended.
            self.drain(5.0)
        self.process.wait(timeout=10)
        os.close(self.master)


def main() -> int:
    """Measure and print; 1 where a limit is missed."""
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), ROUNDS)
    with tempfile.TemporaryDirectory() as cache:
        starts: list[tuple[float, float]] = []
        for i in range(rounds + 1):
            session = Session(cache)
            session.wait(b"UNKNOWN" if not has_gpu() else b"GiB free")
            wall, processor = time.perf_counter() - session.began, session.processor_seconds()
            if i:
                # The first round compiles.
                starts.append((wall, processor))
            if i < rounds:
                session.drain(0.5)
                session.close()
        session.drain(2.0)
        keys, busy = key_times(session)
        before = session.processor_seconds()
        session.drain(RESTS)
        idle = (session.processor_seconds() - before) / RESTS
        session.close()
    first, processor = (statistics.median(pair[i] for pair in starts) for i in (0, 1))
    key = statistics.median(keys)
    print(f"first answer   {first:6.3f} s  (processor {processor:.3f} s, limit {FIRST} s)")
    print(
        f"key to numbers {1000 * key:6.1f} ms (processor {1000 * busy:.0f} ms, slowest {1000 * max(keys):.1f} ms, "
        f"limit {1000 * KEY:.0f} ms)"
    )
    print(f"at rest        {100 * idle:6.2f} % of one processor (limit {100 * IDLE:.0f} %)")
    kept = first <= FIRST and key <= KEY and idle <= IDLE
    print("kept" if kept else "missed")
    return 0 if kept else 1


def key_times(session: Session) -> tuple[list[float], float]:
    """Seconds from keys that double or halve the batch to the new need in the verdict, and processor time of one [s]."""
    for _ in range(STEPS_TO_BATCH):
        os.write(session.master, DOWN)
        session.drain(0.2)
    found, busy = [], 0.0
    for i in range(KEYS):
        before = session.processor_seconds()
        # The title repeats the batch, and is written with the verdict.
        found.append(session.key(RIGHT if i % 2 == 0 else LEFT, b"GiB"))
        busy += session.processor_seconds() - before
        session.drain(0.6)
    return found, busy / KEYS


def has_gpu() -> bool:
    """Whether this machine has a GPU to compare with."""
    from vram_advisor import api

    return bool(api.detect(processes=False).gpus)


if __name__ == "__main__":
    sys.exit(main())
