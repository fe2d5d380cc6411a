"""What every command prints with ``--json`` follows the schema that the program publishes for it."""

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from done import Command
from jsonschema import Draft202012Validator
from sample_calibrations import calibration

from vram_advisor.cli.app import COMMANDS
from vram_advisor.report.schema import DOCUMENTS, schema
from vram_advisor.sources.calibrations import save

AXOLOTL = Path(__file__).resolve().parents[1] / "exchange" / "examples" / "axolotl.yaml"
LORA = ("--method", "lora", "--gpu", "rtx-5070")
ANSWERS: list[tuple[str, tuple[str, ...]]] = [
    ("check", ("check", "--model", "7b", *LORA)),
    ("check", ("check", "--model", "70b", *LORA)),
    ("check", ("check", "--model", "7b")),
    ("check", ("check", "--model", "mixtral-8x7b", "--gpu", "rtx-4090", "--runtime", "llama.cpp")),
    ("check", ("check", "--model", "7b", "--method", "full", "--gpu", "h100-sxm", "--num-gpus", "4")),
    ("check", ("check", "--config", str(AXOLOTL), "--gpu", "h100-sxm")),
    ("advise", ("advise", "--model", "13b", *LORA)),
    ("advise", ("advise", "--model", "7b", *LORA, "--tokens", "1000000", "--price-per-kwh", "0.3", "--explain")),
    ("advise", ("advise", "--config", str(AXOLOTL), "--gpu", "rtx-5070")),
    ("detect", ("detect",)),
    ("report", ("detect", "--report")),
    ("gpus", ("gpus",)),
    ("gpus", ("gpus", "no-such-card")),
    ("for", ("gpus", "rtx", "--for", "7b", "--method", "lora")),
    ("for", ("gpus", "mi300", "--for", "7b", "--gpu", "rtx-4090", "--num-gpus", "2")),
    ("models", ("models",)),
    ("fit", ("models", "llama", "--fit", *LORA)),
    ("fit", ("models", "llama-3.2", "--fit", "--gpu", "rtx-5070")),
    ("local", ("models", "--local")),
    ("calibrations", ("calibrations",)),
    ("calibration", ("calibrations", "show", "2026")),
    ("exported", ("calibrations", "export", "2026", "{tmp}/one.json")),
    ("removed", ("calibrations", "remove", "2026")),
    ("sweep", ("sweep", "--models", "7b", "--gpus", "rtx-5070", "--output", "{tmp}/answers.csv", "--processes", "1")),
    ("sweep", ("sweep", "--models", "7b", "--output", "{tmp}/answers.csv", "--dry-run")),
    ("values", ("schema", "optimizer")),
    ("values", ("schema", "attn-implementation")),
]
"""A schema, and a command that prints such a document."""
ELSEWHERE = {
    "trace": "test_config_option.py runs one",
    "accuracy": "tests/report/test_document.py: scoring takes seconds",
    "imported": "below",
    "planned": "tests/report/test_calibrating.py: a calibration needs a GPU",
    "progress": "tests/report/test_calibrating.py",
    "calibrated": "tests/report/test_calibrating.py",
    "workload": "what is asked, not what is printed",
    "plan": "what is asked, not what is printed",
}


def printed(command: Command, words: tuple[str, ...]) -> Any:
    done = command(*words, "--json")
    assert done.code in (0, 1), done.err
    return json.loads(done.out)


@pytest.mark.parametrize(
    ("name", "words"), ANSWERS, ids=lambda value: value if isinstance(value, str) else " ".join(value)[:50]
)
def test_a_document_follows_its_schema(name: str, words: tuple[str, ...], command: Command, tmp_path: Path) -> None:
    save(calibration())
    document = printed(command, tuple(word.replace("{tmp}", str(tmp_path)) for word in words))
    Draft202012Validator(schema(name)).validate(document)
    assert document["schema_version"] == 1


def test_a_calibration_that_is_kept_follows_its_schema(command: Command, tmp_path: Path) -> None:
    save(calibration())
    printed(command, ("calibrations", "export", "2026", str(tmp_path / "one.json")))
    printed(command, ("calibrations", "remove", "2026"))
    document = printed(command, ("calibrations", "import", str(tmp_path / "one.json")))
    Draft202012Validator(schema("imported")).validate(document)


def test_every_schema_is_held_against_a_document() -> None:
    assert {name for name, _ in ANSWERS} | set(ELSEWHERE) == set(DOCUMENTS)


def test_every_command_that_prints_json_has_a_schema() -> None:
    asked = {words[0] for _, words in ANSWERS} | {"trace", "accuracy", "calibrate"}
    for name, home, _ in COMMANDS:
        module, _, attribute = home.partition(":")
        found = getattr(import_module(f"vram_advisor.cli.{module}"), attribute)
        function = found.default_command if isinstance(found, App) else found
        if "json" in inspect.signature(function).parameters:
            assert name in asked, name


def test_what_a_file_said_is_in_the_document(command: Command) -> None:
    for name in ("check", "advise"):
        read = printed(command, (name, "--config", str(AXOLOTL), "--gpu", "h100-sxm"))["imported"]
        assert read["program"] == "axolotl" and read["unknown"] == ["my_own_key"]
        assert {"key": "sequence_len", "value": "4096", "fields": ["sequence_length"]} in read["used"]
        assert "wandb_project" in read["irrelevant"]
