"""In a pipeline: the GitHub Action, the pre-commit hook, and completion in shells."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vram_advisor.cli.app import run
from vram_advisor.cli.completion import completion
from vram_advisor.cli.configured import PROGRAMS as NAMED
from vram_advisor.exchange.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).parent / "examples" / "axolotl.yaml"
PARSES = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_help_names_every_program() -> None:
    assert NAMED.split(", ") == list(PROGRAMS)


@pytest.mark.parametrize(
    ("words", "started", "code"),
    [
        ("--gpu h100-sxm", True, 0),
        ("--gpu rtx-3060-12gb", False, 1),
        ("--gpu rtx-5060-ti-16gb --micro-batch-size 4 --gradient-checkpointing none", False, 1),
        ("--gpu no-such-card", False, 2),
        ("--gpu h100-sxm --sequence-length many", False, 2),
        ("--gpu-index 99", False, 3),
    ],
)
def test_a_guard_starts_only_what_fits(words: str, started: bool, code: int, tmp_path: Path) -> None:
    launch = tmp_path / "accelerate"
    launch.write_text("#!/bin/sh\ntouch started\n", encoding="utf-8")
    launch.chmod(0o755)
    guard = f"vram-advisor check --config {EXAMPLE} --strict {words} && accelerate launch train.py"
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", guard], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True)
    assert (done.returncode, (tmp_path / "started").exists()) == (code, started), done.stderr


def test_a_guard_is_not_passed_by_what_is_only_likely_or_unknown() -> None:
    tight = ["check", "--model", "llama-2-7b", "--method", "lora", "--quantization", "q8", "--gpu", "rtx-5070"]
    lengths = range(4096, 8192, 128)
    codes = {
        n: (run([*tight, "--sequence-length", str(n)]), run([*tight, "--sequence-length", str(n), "--strict"]))
        for n in lengths
    }
    assert (0, 0) in codes.values() and (0, 1) in codes.values() and (1, 1) in codes.values()
    assert run(["check", "--config", str(EXAMPLE)]) == 0
    assert run(["check", "--config", str(EXAMPLE), "--strict"]) == 1


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


def test_fish_completes_commands_and_options(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    run(["completion", "fish"])
    script = tmp_path / "script"
    script.write_text(capfd.readouterr().out, encoding="utf-8")
    ask = f"source {script}; complete -C 'vram-advisor check --conf'; complete -C 'vram-advisor advi'"
    done = subprocess.run(["fish", "--no-config", "-c", ask], capture_output=True, text=True, check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["--config", "--config-format", "advise"]


def test_zsh_finds_its_function_where_the_help_says(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (name,) = re.findall(r"~/.zfunc/(\S+),", completion.__doc__ or "")
    run(["completion", "zsh"])
    (tmp_path / name).write_text(capfd.readouterr().out, encoding="utf-8")
    ask = (
        f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; "
        '_arguments() { print -r -- "$@" }; $_comps[vram-advisor]'
    )
    done = subprocess.run(["zsh", "-f", "-c", ask], capture_output=True, text=True, check=True)
    assert "--version" in done.stdout
