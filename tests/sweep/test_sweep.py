"""Rows of a sweep are what ``check`` answers, and a sweep that was stopped loses and repeats none."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from vram_advisor import api
from vram_advisor.domain.sweep import Sweep
from vram_advisor.units.errors import AdvisorError, BadInput

QUESTIONS = {
    "micro_batch_size": [1, 8],
    "sequence_length": [512, 4096],
    "plans": [
        {"method": "lora", "quantization": ["bf16", "int8"]},
        {"method": "qlora", "quantization": "nf4_double", "gradient_checkpointing": ["none", "full"]},
        {"method": "full", "optimizer": ["adamw_torch", "adamw_bnb_8bit"]},
        {"method": "inference", "quantization": "q4", "runtime": ["transformers", "vllm", "llama.cpp", "ollama"]},
    ],
}
MODELS = ("llama-2-7b", "qwen3-0.6b", "qwen3-30b-a3b")
CARDS = ("rtx-2080-ti", "rtx-5070", "rtx-4090", "a100-80gb", "h100-sxm", "rx-7900-xtx")


def small(**choices: Any) -> Sweep:
    return api.plan_sweep(QUESTIONS, models=MODELS, gpus=CARDS, **choices)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of one sweep."""
    file = tmp_path_factory.mktemp("sweep") / "rows.parquet"
    done = api.sweep(small(), file, processes=1)
    found: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    assert len(found) == done.rows == small().rows
    return found


def test_every_combination_stands_once(rows: list[dict[str, Any]]) -> None:
    asked = small()
    keys = [(row["model"], row["gpu"], row["plan"]) for row in rows]
    assert keys == [(m, g, p) for m in asked.models for g, _ in asked.cards for p in range(len(asked.questions))]


def test_a_row_is_what_check_answers(rows: list[dict[str, Any]]) -> None:
    asked = small()
    for row in random.Random(7).sample(rows, 250):
        question = asked.questions[row["plan"]]
        answer = api.check(
            row["model"], gpu=row["gpu"], workload=question.workload, plan=question.plan, calibrated=False
        )
        option = answer.options[0]
        verdict, made = option.verdict, option.estimate
        said = (row["model"], row["gpu"], question)
        assert row["minimum_bytes"] == pytest.approx(made.minimum_mean, abs=2), said
        assert row["minimum_sd_bytes"] == pytest.approx(made.minimum_sd, abs=2), said
        assert row["outcome"] == verdict.outcome, said
        assert row["free_bytes"] == verdict.free_bytes, said
        assert row["headroom_bytes"] == pytest.approx(verdict.headroom_bytes, abs=2), said
        assert row["probability"] == pytest.approx(verdict.probability, abs=1e-6), said
        assert row["peak_phase"] == made.peak.phase, said


def test_rows_name_the_options_that_differ(rows: list[dict[str, Any]]) -> None:
    asked = small()
    for row in rows[:: len(rows) // 50]:
        question = asked.questions[row["plan"]]
        assert row["method"] == question.workload.method
        assert row["sequence_length"] == question.workload.sequence_length
        assert row["runtime"] == question.plan.runtime
    assert "lora_r" not in rows[0]


def test_what_is_not_modelled_is_a_row_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    questions: dict[str, Any] = {"method": "inference", "runtime": "vllm", "quantization": "int8"}
    api.sweep(api.plan_sweep(questions, models=["llama-2-7b"], gpus=["rtx-5070"]), file)
    (row,) = pq.read_table(file).to_pylist()
    assert (row["outcome"], row["minimum_bytes"], row["probability"]) == ("not modelled", None, None)
    with pytest.raises(AdvisorError) as refused:
        api.check("llama-2-7b", gpu="rtx-5070", **questions)
    assert row["reason"] in str(refused.value)


def test_csv_has_the_same_rows(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    api.sweep(small(), tmp_path / "rows.csv", processes=1)
    table = pyarrow.csv.read_csv(tmp_path / "rows.csv").to_pylist()
    assert len(table) == len(rows)
    for text, row in zip(table, rows, strict=True):
        for name in ("model", "gpu", "plan", "minimum_bytes", "headroom_bytes", "outcome", "peak_phase"):
            assert text[name] == row[name] or (text[name] == "" and row[name] is None)


def test_several_processes_write_the_same_file(tmp_path: Path) -> None:
    for processes in (1, 2):
        api.sweep(small(), tmp_path / f"{processes}.parquet", processes=processes)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.parquet", tmp_path / "rows.parquet"
    api.sweep(small(), whole, processes=1)

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.sweep(small(), file, hear=stop, processes=1)
    assert not file.exists() and (tmp_path / "rows.parquet.sweep").is_dir()
    # A file that a lost machine has cut is estimated again.
    kept = sorted((tmp_path / "rows.parquet.sweep").glob("*.npz"))
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    done = api.sweep(small(), file, processes=1)
    assert done.progress.resumed == 0
    assert file.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "whole.parquet"]


def test_another_question_does_not_go_on_from_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.sweep(small(), file, hear=stop, processes=1)
    with pytest.raises(BadInput, match="another question"):
        api.sweep(small(vary=["lora_r=8,64"]), file, processes=1)


@pytest.mark.parametrize(
    ("questions", "sentence"),
    [
        ({"micro_batch_sise": [1]}, "the nearest is micro_batch_size"),
        ({"micro_batch_size": [0]}, "--micro-batch-size 0"),
        ({"plans": []}, "plans should be a list of tables"),
        ({"models": "7b"}, "models should be a list of names"),
        ({"lora_r": list(range(1, 2000)), "sequence_length": list(range(1, 2000))}, "more than 1,000,000"),
        ({"num_gpus": [1, 2]}, "one number of GPUs"),
        ({"models": ["no-such-model"]}, "no-such-model"),
    ],
)
def test_bad_questions_are_one_sentence(questions: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        api.plan_sweep(questions)


@pytest.mark.parametrize(("name", "text"), [("a.toml", "x = ["), ("a.json", "[" * 100_000), ("b.json", "[1]")])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=name):
        api.plan_sweep(tmp_path / name)


def test_a_file_of_questions(tmp_path: Path) -> None:
    (tmp_path / "q.toml").write_text('models = ["7b"]\ngpus = ["rtx-5070"]\nmethod = "lora"\nlora_r = [8, 16]\n')
    (tmp_path / "q.json").write_text(
        json.dumps({"models": ["7b"], "gpus": ["rtx-5070"], "method": "lora", "lora_r": [8, 16]})
    )
    toml, other = (api.plan_sweep(tmp_path / name) for name in ("q.toml", "q.json"))
    assert toml.questions == other.questions
    assert [question.plan.lora_r for question in toml.questions] == [8, 16]
    assert toml.columns == (("lora_r", (8, 16)),)
