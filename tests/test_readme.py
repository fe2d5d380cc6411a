"""The README keeps its promises: its commands, its example, and the script that runs them."""

import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from vram_advisor.cli.app import COMMANDS as COMMANDS_OF_THE_PROGRAM
from vram_advisor.cli.app import run
from vram_advisor.domain.job import Dataset

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/vram-advisor check --model 7b --method lora",
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/python -m pytest -q",
]
EXAMPLE = re.compile(r"(```console\n\$ vram-advisor ([^\n]*)\n)(.*?)(```)", re.DOTALL)
SHOWN = 22
"""Lines of the example; the rest is described."""


def test_the_readme_opens_with_the_two_commands() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    found = [line.strip() for line in lines if line.strip().startswith("python3 -m venv")]
    assert found == COMMANDS
    assert lines.index(COMMANDS[0]) < 15


def test_ci_takes_the_commands_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (extract,) = re.findall(r"mapfile -t commands < <\((.*)\)", script)
    done = subprocess.run(["bash", "-c", extract], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == COMMANDS
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_ci_runs_every_tool_and_suite() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for word in (
        "ruff check",
        "ruff format --check",
        "mypy",
        "suite trainers",
        "suite terminal",
        "suite browser",
        "suite llama_cpp",
        "suite gpu",
        "set -euo pipefail",
    ):
        assert word in script


def test_the_example_is_what_the_program_prints(capfd: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8")
    (example,) = EXAMPLE.finditer(text)
    run(example.group(2).split())
    printed = "\n".join([*capfd.readouterr().out.splitlines()[:SHOWN], "..."]) + "\n"
    if os.environ.get("UPDATE_GOLDENS"):
        README.write_text(text[: example.start(3)] + printed + text[example.end(3) :], encoding="utf-8")
    else:
        assert example.group(3) == printed, "run with UPDATE_GOLDENS=1 and read the diff"


def test_every_command_in_the_readme_parses() -> None:
    text = README.read_text(encoding="utf-8")
    for name in re.findall(r"^vram-advisor (\w+)", text, re.MULTILINE):
        assert name in {command[0] for command in COMMANDS_OF_THE_PROGRAM}
    for option in set(re.findall(r"(--[a-z][a-z-]+)", text)):
        assert option.removeprefix("--").replace("-", "_") in _known(), option


def _known() -> set[str]:
    from vram_advisor.domain.plan import Plan, Workload

    own = {
        "model", "gpu", "gpu_index", "json", "strict", "explain", "help", "report", "backend", "compare", "trace",
        "no_calibration", "config", "emit", "for", "fit", "local", "format", "output", *(field.name for field in fields(Dataset)),
    }  # fmt: skip
    return {*vars(Workload()), *vars(Plan()), *own}
