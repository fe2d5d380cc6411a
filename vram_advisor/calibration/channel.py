"""The worker's side of the talk with its supervisor: messages out, nothing else on that way, and a watch on its life."""

import json
import os
import sys
import threading
import time
from typing import Any

import psutil

WATCHED_EVERY = 0.5
"""Between two looks for the parent [s]."""


class Channel:
    """Messages over what was standard output. What libraries print goes to standard error from here on."""

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank
        self._out = os.dup(1)
        # Also for what is printed below Python, by libraries in C.
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        _exit_with_parent()

    def say(self, event: str, **more: Any) -> None:
        """One message, in one piece: several processes may share the way."""
        line = json.dumps({"event": event, "rank": self.rank, "pid": os.getpid(), **more}) + "\n"
        os.write(self._out, line.encode())

    def hear(self) -> str:
        """The one line that the worker is told."""
        return sys.stdin.readline()

    def hold(self) -> None:
        """Keep everything until the supervisor has looked: until standard input ends."""
        while os.read(0, 4096):
            pass


def _exit_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(WATCHED_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
