"""The process of a worker, and the threads that talk to it."""

import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

from vram_advisor.calibration import family
from vram_advisor.units.errors import Missing

Message = dict[str, Any]
"""What a worker says: ``event`` names its kind, ``rank`` its process where there are several."""
KEPT_LINES = 100
"""Last lines of standard error that are kept."""


class WorkerProcess:
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
