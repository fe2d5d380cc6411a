"""A real terminal: the program in tmux, driven by keys, read as what stands on the screen."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
import uuid
from collections.abc import Mapping


class Terminal:
    """One window of a tmux server of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], size: tuple[int, int] = (120, 36)) -> None:
        self.name = f"vram-advisor-{uuid.uuid4().hex[:8]}"
        words = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
        shell = f"env -u COLUMNS -u LINES {words} {shlex.join(command)}; echo ENDED $?; sleep 600"
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), shell)
        self.resize(*size)
        # What a program asks a terminal to copy is kept as a buffer.
        self._tmux("set-option", "-g", "set-clipboard", "on")

    def press(self, *keys: str) -> None:
        """Keys by their names in tmux."""
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Letters."""
        self._tmux("send-keys", "-l", text)

    def text(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p")

    def clipboard(self) -> str:
        """What was copied last."""
        return self._tmux("show-buffer")

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, *wanted: str, seconds: float = 30.0) -> str:
        """The screen once all of the texts stand on it."""
        end = time.monotonic() + seconds
        while True:
            text = self.text()
            if all(each in text for each in wanted):
                return text
            assert time.monotonic() < end, f"{wanted} did not come:\n{text}"
            time.sleep(0.05)

    def close(self) -> None:
        """End the window and what runs in it."""
        subprocess.run(["tmux", "-L", self.name, "kill-server"], check=False, capture_output=True)

    def _tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-L", self.name, *words], check=True, capture_output=True, text=True).stdout
