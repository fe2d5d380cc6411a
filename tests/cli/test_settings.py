"""The file of settings: every key is an option, what is typed wins."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from done import Command

from vram_advisor.cli.with_settings import JOB
from vram_advisor.domain.job import Dataset
from vram_advisor.sources.settings import FILE, FOLDER, settings_file

CHECK = ("check", "--model", "7b", "--json")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the variable names."""
    file = tmp_path / "own.toml"
    file.write_text("")
    monkeypatch.setenv("VRAM_ADVISOR_CONFIG", str(file))
    return file


def asked(command: Command, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(*arguments).out)
    return found


def test_settings_are_options_that_were_not_typed(command: Command, settings: Path) -> None:
    settings.write_text('gpu = "rtx-5070"\nmethod = "lora"\nsequence_length = 512\nexpandable_segments = true\n')
    found = asked(command, *CHECK)
    assert found["device"]["name"].endswith("RTX 5070")
    assert (found["workload"]["method"], found["workload"]["sequence_length"]) == ("lora", 512)
    assert found["options"][0]["plan"]["expandable_segments"] is True


def test_what_is_typed_wins(command: Command, settings: Path) -> None:
    settings.write_text('gpu = "rtx-5070"\nmethod = "lora"\nsequence_length = 512\nexpandable_segments = true\n')
    found = asked(
        command, *CHECK, "--gpu", "rtx-4090", "--sequence-length=1024", "--no-expandable-segments", "--method", "dora"
    )
    assert found["device"]["name"].endswith("RTX 4090")
    assert (found["workload"]["method"], found["workload"]["sequence_length"]) == ("dora", 1024)
    assert found["options"][0]["plan"]["expandable_segments"] is False


def test_habits_of_another_method_say_nothing(command: Command, settings: Path) -> None:
    settings.write_text('gpu = "rtx-5090"\nsequence_length = 512\ncontext_length = 1024\nlora_r = 32\n')
    assert not any("no effect" in warning for warning in asked(command, *CHECK)["warnings"])
    assert not any("no effect" in warning for warning in asked(command, *CHECK, "--method", "full")["warnings"])
    found = asked(command, *CHECK, "--method", "lora")
    assert found["options"][0]["plan"]["lora_r"] == 32 and found["workload"]["context_length"] == 4096


def test_habits_of_a_job_say_nothing_where_there_is_none(command: Command, settings: Path) -> None:
    settings.write_text('gpu = "rtx-5090"\nprice_per_kwh = 0.5\ncurrency = "CHF"\nepochs = 3\npacking = true\n')
    for method in ("inference", "qlora"):
        found = asked(command, "advise", "--model", "7b", "--method", method, "--json")
        assert not any("no effect" in note for note in found["notes"])
        assert any("A million tokens cost" in note for note in found["notes"]) is (method == "qlora")


def test_prices_and_lists(command: Command, settings: Path) -> None:
    settings.write_text(
        'gpu = "rtx-5090"\nprice_per_kwh = 0.5\ncurrency = "CHF"\ntarget_modules = ["q_proj", "v_proj"]\n'
    )
    found = asked(command, "advise", "--model", "7b", "--method", "qlora", "--tokens", 100_000, "--json")
    assert found["job"]["currency"] == "CHF" and found["job"]["cost"]["mid"] > 0
    assert found["plan"]["target_modules"] == ["q_proj", "v_proj"]


def test_lists_of_the_catalogue_stay_what_they_are(command: Command, settings: Path) -> None:
    settings.write_text('gpu = "rtx-5070"\nmethod = "lora"\n')
    assert command("gpus", "5070").code == 0 and command("models", "llama-2-7b").code == 0
    found = asked(command, "models", "llama-2-7b", "--fit", "--json")
    assert found["gpu"].endswith("RTX 5070") and found["workload"]["method"] == "lora"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('gpus = "rtx-5070"\n', "'gpus' is no option; the nearest is gpu"),
        ("sequence-length = 5\n", "the nearest is sequence_length"),
        ("sequence_length = 0\n", "--sequence-length 0"),
        ("price_per_kwh = -1\n", "--price-per-kwh -1"),
        ("gpu = 5070\n", "expected a text"),
        ("gpu = \n", "is no TOML"),
        ("[check]\ngpu = 'x'\n", "'check' is no option"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_it(command: Command, settings: Path, text: str, words: str) -> None:
    settings.write_text(text)
    done = command(*CHECK)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1
    assert str(settings) in done.err and words in done.err


def test_a_file_that_the_variable_names_has_to_be_there(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VRAM_ADVISOR_CONFIG", str(tmp_path / "none.toml"))
    done = command(*CHECK, "--gpu", "rtx-5070")
    assert done.code == 2 and "VRAM_ADVISOR_CONFIG" in done.err


def test_bytes_that_are_no_text(command: Command, settings: Path) -> None:
    settings.write_bytes(b"\xff\xfe\x00")
    assert command(*CHECK).code == 2


def test_the_file_lies_where_the_system_keeps_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    end = f"{FOLDER}/{FILE}"
    assert settings_file({}, "linux") == f"/home/ada/.config/{end}"
    assert settings_file({"XDG_CONFIG_HOME": "/etc/ada"}, "linux") == f"/etc/ada/{end}"
    assert settings_file({"XDG_CONFIG_HOME": "relative"}, "linux") == f"/home/ada/.config/{end}"
    assert settings_file({}, "darwin") == f"/home/ada/Library/Application Support/{end}"
    assert settings_file({"APPDATA": "/roaming"}, "win32") == f"/roaming/{end}"
    assert settings_file({"VRAM_ADVISOR_CONFIG": "~/mine.toml"}, "linux") == "/home/ada/mine.toml"


def test_every_field_of_a_dataset_may_be_set() -> None:
    assert {field.name for field in fields(Dataset)} == set(JOB)


def test_without_a_file_nothing_is_parsed(command: Command) -> None:
    code = "import sys; from vram_advisor.cli.app import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    arguments = ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "vram_advisor.sources.settings" in done.stderr and "vram_advisor.domain.job" not in done.stderr.split()
