"""In a pipeline: the GitHub Action, the pre-commit hook, and completion in shells."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vram_advisor.cli.app import run
from vram_advisor.cli.configured import PROGRAMS as NAMED
from vram_advisor.exchange.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).parent / "examples" / "axolotl.yaml"
PARSES = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_help_names_every_program() -> None:
    assert NAMED.split(", ") == list(PROGRAMS)


@pytest.mark.parametrize(("gpu", "code"), [("h100-sxm", 0), ("rtx-3060-12gb", 1), ("no-such-card", 2)])
def test_the_action_passes_on_what_check_says(gpu: str, code: int, tmp_path: Path) -> None:
    action = load("action.yml")
    step = action["runs"]["steps"][-1]
    given = {"config": str(EXAMPLE), "gpu": gpu, "arguments": "--micro-batch-size 1"}
    inputs = {name: str(given.get(name, entry.get("default", ""))) for name, entry in action["inputs"].items()}
    around = {name: inputs[value.split(".")[1].split()[0]] for name, value in step["env"].items()}
    summary = tmp_path / "summary"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **around, "GITHUB_STEP_SUMMARY": str(summary), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert summary.read_text(encoding="utf-8").startswith("```\n")
    assert ("FITS" in done.stdout) == (code == 0)


def test_the_action_puts_no_input_into_a_script() -> None:
    for step in load("action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.mark.parametrize(("gpu", "code"), [("h100-sxm", 0), ("rtx-3060-12gb", 1)])
def test_the_hook_is_a_command_that_runs(gpu: str, code: int) -> None:
    (hook,) = load(".pre-commit-hooks.yaml")
    program, *words = shlex.split(hook["entry"])
    assert program == "vram-advisor" and hook["pass_filenames"] is False
    assert run([*words, str(EXAMPLE), "--gpu", gpu]) == code


@pytest.mark.parametrize("shell", PARSES)
def test_a_shell_parses_its_completion(shell: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capfd.readouterr().out, encoding="utf-8")
    text = script.read_text(encoding="utf-8")
    assert "vram-advisor" in text and "sequence-length" in text and "calibrate" in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([*PARSES[shell], str(script)], check=True)


def test_bash_completes_commands_and_options(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(["completion", "bash"])
    script = tmp_path / "script"
    script.write_text(capfd.readouterr().out, encoding="utf-8")
    ask = (
        f"source {script}; COMP_WORDS=(vram-advisor check --conf); COMP_CWORD=2; _vram_advisor; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--config", "--config-format"]
