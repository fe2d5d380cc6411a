"""As a person would: the app in a real terminal, from the first screen to the command line that it leaves."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tmux import Terminal

pytestmark = pytest.mark.terminal
SCRIPT = Path(sys.executable).with_name("vram-advisor")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home, and no network."""
    return {"HOME": str(tmp_path), "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1", "NO_PROXY": "*"}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    """The program without arguments."""
    window = Terminal([str(SCRIPT)], environment)
    yield window
    window.close()


def run(command: str, environment: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
    """A command line as a shell takes it."""
    words = shlex.split(command)
    assert words[0] == "vram-advisor"
    return subprocess.run(
        [str(SCRIPT), *words[1:], *more], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_way_of_a_person(terminal: Terminal, environment: dict[str, str]) -> None:
    terminal.wait_for("vram-advisor", "UNKNOWN", "qwen3-8b")
    terminal.press("m")
    terminal.wait_for("Model", "listed")
    terminal.write("Llama-3.1-8B")
    terminal.wait_for("› llama-3.1-8b")
    terminal.press("Enter")
    terminal.wait_for("llama-3.1-8b · LoRA")
    terminal.press("g")
    terminal.wait_for("name or memory")
    terminal.write("rtx 4060 ti")
    terminal.wait_for("› NVIDIA GeForce RTX 4060 Ti")
    terminal.press("Enter")
    terminal.wait_for("simulated", "a apply")
    terminal.press("Down", "Down", "Right")
    terminal.wait_for("llama-3.1-8b · QLoRA")
    before = terminal.wait_for("a apply", "1 loss")
    terminal.press("a")
    terminal.wait_for("Applied", "liger")
    terminal.press("u")
    terminal.wait_for("standard")
    assert verdict(terminal.text()) == verdict(before)
    terminal.press("y")
    terminal.wait_for("Copied")
    command = terminal.clipboard().strip()
    shown = verdict(terminal.text())
    terminal.press("q")
    left = terminal.wait_for("ENDED 0")
    assert command.split()[:2] == ["vram-advisor", "check"]
    assert "".join(command.split()) in "".join(left.split()), "what was copied is left on the screen"
    done = run(command, environment, "--json")
    document = json.loads(done.stdout)
    option = document["options"][document["recommended"] or 0]
    need = option["peak"]["minimum_bytes"]
    assert f"{need['mid'] / 2**30:.2f} GiB ({need['low'] / 2**30:.2f}–{need['high'] / 2**30:.2f})" in shown


def test_resized_to_a_stamp_and_back(terminal: Terminal) -> None:
    terminal.wait_for("UNKNOWN")
    for size in ((20, 5), (80, 24), (4, 2), (120, 36)):
        terminal.resize(*size)
        terminal.press("2", "v", "1")
    terminal.wait_for("Where it goes", "UNKNOWN")
    terminal.press("q")
    terminal.wait_for("ENDED 0")


def test_ascii_alone(environment: dict[str, str]) -> None:
    window = Terminal([str(SCRIPT), "tui", "--ascii"], environment)
    try:
        assert window.wait_for("UNKNOWN", "Advice").isascii()
        window.press("q")
        window.wait_for("ENDED 0")
    finally:
        window.close()


def test_without_a_terminal_it_prints_its_help(environment: dict[str, str]) -> None:
    done = run("vram-advisor", environment)
    assert done.returncode == 0 and "Usage: vram-advisor" in done.stdout and "\x1b[?1049h" not in done.stdout


def verdict(screen: str) -> str:
    """The line of the verdict."""
    return next(line for line in screen.splitlines() if any(word in line for word in ("FITS", "TIGHT", "✗ NO"))).strip()
