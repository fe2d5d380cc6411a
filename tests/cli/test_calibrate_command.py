"""``vram-advisor calibrate`` before anything runs: what it refuses, and with which exit code."""

import json
from pathlib import Path

import pytest
from done import Command

MODEL = ("calibrate", "--model", "llama-3.1-8b")
LORA = ("--method", "lora", "--backend", "cpu")


def test_without_a_gpu_it_names_what_works_without_one(command: Command) -> None:
    done = command(*MODEL, "--method", "lora")
    assert (done.code, done.out) == (3, "")
    assert "There is no GPU here" in done.err
    assert "vram-advisor trace" in done.err
    assert "--backend cpu" in done.err


def test_without_the_training_code_it_says_what_to_install(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vram_advisor.calibration.versions.find_spec", lambda name: None)
    done = command(*MODEL, *LORA)
    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert "pip install 'vram-advisor[calibrate]'" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--method", "inference"), "--method inference does not train"),
        (("--method", "lora", "--backend", "tpu"), "--backend tpu: should be cuda, rocm, mps, xpu, cpu or fake"),
        ((*LORA, "--steps", "1"), "--steps 1: should be from 2"),
        ((*LORA, "--dataset", "none.jsonl"), "none.jsonl cannot be read: No such file or directory"),
        ((*LORA, "--micro-batch-size", "100000"), "100,000 × 64 tokens may need"),
        ((*LORA, "--time-limit", "0"), "--time-limit 0: should be at least 1 second"),
    ],
)
def test_what_cannot_run_is_refused_before_it_starts(command: Command, words: tuple[str, ...], said: str) -> None:
    done = command(*MODEL, *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_architectures_without_a_closed_form_are_refused(command: Command, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "llama_of_tomorrow", "num_hidden_layers": 4}))
    done = command("calibrate", "--model", config, *LORA)
    assert done.code == 2
    assert "llama_of_tomorrow" in done.err
