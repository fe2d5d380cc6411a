"""The other commands: detect, gpus, models, schema, accuracy, and the program as a process."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from vram_advisor import __version__, api
from vram_advisor.accuracy.score import Report
from vram_advisor.cli.app import COMMANDS, run

Capture = pytest.CaptureFixture[str]


def process(*arguments: str, **kwargs: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "vram_advisor", *arguments], capture_output=True, text=True, env={**os.environ, **kwargs}
    )


def test_detect_without_a_gpu_answers(capfd: Capture) -> None:
    assert run(["detect"]) == 0
    out, err = capfd.readouterr()
    assert "No GPU was found." in out and err == ""


def test_detect_json(capfd: Capture) -> None:
    assert run(["detect", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["gpus"] == [] and document["host"]["system"]


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_report_names_nobody(capfd: Capture, extra: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada-lovelace")
    assert run(["detect", "--report", *extra]) == 0
    out = capfd.readouterr().out
    assert f"vram-advisor {__version__}" in out
    assert "ada-lovelace" not in out and str(Path.home()) not in out


def test_gpus_are_filtered(capfd: Capture) -> None:
    assert run(["gpus", "rtx", "5070"]) == 0
    out = capfd.readouterr().out
    assert "rtx-5070" in out and "4090" not in out
    assert run(["gpus", "5070", "--json"]) == 0
    ids = [gpu["id"] for gpu in json.loads(capfd.readouterr().out)["gpus"]]
    assert "rtx-5070" in ids


def test_models_are_filtered(capfd: Capture) -> None:
    assert run(["models", "llama-2", "7b"]) == 0
    assert "llama-2-7b" in capfd.readouterr().out
    assert run(["models", "llama-2-7b", "--json"]) == 0
    model = next(m for m in json.loads(capfd.readouterr().out)["models"] if m["id"] == "llama-2-7b")
    assert model["parameters"] == 6_738_415_616 and "7b" in model["aliases"]


@pytest.mark.parametrize("name", ["gpus", "models"])
def test_an_empty_list_is_an_answer(capfd: Capture, name: str) -> None:
    assert run([name, "no-such-thing"]) == 0
    out, err = capfd.readouterr()
    assert out == "" and "no-such-thing" in err
    assert run([name, "no-such-thing", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)[name] == []


def test_schema_lists_describes_and_prints(capfd: Capture) -> None:
    assert run(["schema"]) == 0
    assert "optimizer" in capfd.readouterr().out
    assert run(["schema", "check"]) == 0
    assert json.loads(capfd.readouterr().out)["title"] == "AnswerDocument"
    assert run(["schema", "attn-implementation"]) == 0
    assert "flash_attention_2" in capfd.readouterr().out
    assert run(["schema", "optimizer", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["option"] == "optimizer" and "adamw_torch" in [row["name"] for row in document["values"]]
    assert run(["schema", "--json"]) == 0
    assert "plan" in json.loads(capfd.readouterr().out)


def test_an_unknown_schema_is_bad_input(capfd: Capture) -> None:
    assert run(["schema", "everything"]) == 2
    assert "use one of" in capfd.readouterr().err


def test_accuracy_scores_the_files_it_is_given(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    empty = Report((), (), (), (), ())
    monkeypatch.setattr(api, "score", lambda files=(): seen.append(tuple(files)) or empty)
    assert run(["accuracy", "a.csv", "b.csv", "--json"]) == 0
    assert seen == [(Path("a.csv"), Path("b.csv"))]
    document = json.loads(capfd.readouterr().out)
    assert set(document) == {"schema_version", "groups", "macro", "programs", "refused", "unmetered"}


def test_a_ledger_that_is_not_there_is_bad_input(capfd: Capture) -> None:
    assert run(["accuracy", "/no/such/ledger.csv"]) == 2
    assert "/no/such/ledger.csv" in capfd.readouterr().err


def test_version_and_help(capfd: Capture) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out.strip() == __version__
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    assert all(name in out for name in ("check", "detect", "gpus", "models", "schema", "accuracy", "Exit codes"))


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m vram_advisor schema --json | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "{0\n" and done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vram_advisor", "check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode(encoding)
    assert ("█" in text) is (encoding == "utf-8") and ("###" in text) is (encoding != "utf-8")


def test_the_package_runs_as_a_module() -> None:
    done = process("check", "--model", "7b", "--gpu", "nothing-like-it")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("vram-advisor: ")


def test_the_help_says_what_each_command_does() -> None:
    for name, home, summary in COMMANDS:
        module, _, attribute = home.partition(":")
        found = getattr(import_module(f"vram_advisor.cli.{module}"), attribute)
        command = found.default_command if isinstance(found, App) else found
        assert (command.__doc__ or "").splitlines()[0] == summary, name


@pytest.mark.parametrize("name", ["gpus", "models"])
def test_a_pipe_gets_whole_fields(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    done = subprocess.run([sys.executable, "-m", "vram_advisor", name], capture_output=True, text=True, env=environment)
    assert done.stdout and "…" not in done.stdout


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("name", ["gpus", "models"])
def test_lists_keep_to_the_terminal(name: str, width: int) -> None:
    done = process(name, COLUMNS=str(width))
    assert max(map(len, done.stdout.splitlines())) <= width


def test_an_option_given_twice_is_one_sentence(capfd: Capture) -> None:
    assert run(["check", "--model", "7b", "--model", "7b"]) == 2
    assert capfd.readouterr().err == "vram-advisor: --model is given more than once: write it once.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_an_answer_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "vram_advisor", "gpus", "4090"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("vram-advisor: The answer could not be written")
    assert "Traceback" not in done.stderr
