"""``advise`` with a dataset: which sample decides the memory, how long it takes, and what bad files do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from done import Command

from tests.report.json_schema import problems
from tests.sample_calibrations import calibration
from vram_advisor import api
from vram_advisor.domain.job import Dataset
from vram_advisor.report.schema import schema
from vram_advisor.sources import calibrations

ASK = ("advise", "--model", "7b", "--method", "qlora", "--gpu", "rtx-5090", "--json")


def lengths(tmp_path: Path, *tokens: int) -> Path:
    file = tmp_path / "lengths.txt"
    file.write_text("".join(f"{count}\n" for count in tokens))
    return file


def document(command: Command, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(*ASK, *arguments).out)
    assert problems(found, schema("advise")) == []
    return found


def test_the_longest_batch_decides_the_peak_and_the_sample_is_named(command: Command, tmp_path: Path) -> None:
    found = document(command, "--dataset", lengths(tmp_path, 100, 1500, 200))
    assert found["workload"]["sequence_length"] == 1500
    assert any("number 2 of 3, with 1,500 tokens" in note for note in found["notes"])
    again = api.check("7b", gpu="rtx-5090", method="qlora", sequence_length=1500, lengths="varied")
    assert found["minimum_bytes"] == int(again.options[0].estimate.minimum_mean)


def test_examples_that_are_cut_are_counted(command: Command, tmp_path: Path) -> None:
    found = document(command, "--dataset", lengths(tmp_path, 100, 3000, 2500), "--sequence-length", 2048)
    assert found["workload"]["sequence_length"] == 2048 and found["job"]["lengths"]["cut"] == 2
    assert any("--sequence-length 3000 keeps them whole" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("tokens", "length", "words"),
    [
        ((5000, 100), 2048, "keeps all but 1 whole: the model was made for 4,096 positions"),
        ((5000, 6000, 3000), 2048, "keeps all but 2 whole: the model was made for 4,096 positions"),
        ((1_250_000, 100), 4096, "cut to it; the model was made for 4,096 positions"),
        ((4096, 100), 2048, "--sequence-length 4096 keeps them whole"),
    ],
)
def test_no_length_is_proposed_that_the_model_was_not_made_for(
    command: Command, tmp_path: Path, tokens: tuple[int, ...], length: int, words: str
) -> None:
    # Llama 2 was made for 4,096 positions.
    found = document(command, "--dataset", lengths(tmp_path, *tokens), "--sequence-length", length)
    (said,) = (note for note in found["notes"] if "cut to it" in note)
    assert words in said
    proposed = said.partition("--sequence-length ")[2].split(" ")[0]
    assert int(proposed or 0) <= 4096


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--packing",), "--packing has no effect without --dataset or --tokens"),
        (("--packing", "--epochs", 3), "--packing and --epochs have no effect without --dataset or --tokens"),
        (("--currency", "EUR"), "--currency has no effect without --price-per-kwh or --rent-per-hour"),
    ],
)
def test_what_says_nothing_without_a_dataset_is_named(
    command: Command, arguments: tuple[object, ...], words: str
) -> None:
    assert words in " ".join(document(command, *arguments)["notes"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--n-cpu-moe", 4), "--n-cpu-moe has no effect on llama-2-7b, which has no experts"),
        (("--cpu-moe", "--n-cpu-moe", 4), "--n-cpu-moe has no effect beside --cpu-moe"),
        (("--method", "lora", "--offload", "parameters"), "without --sharding fsdp_full or zero3"),
    ],
)
def test_levers_that_move_nothing_are_named(command: Command, arguments: tuple[object, ...], words: str) -> None:
    found = json.loads(command("advise", "--model", "7b", "--gpu", "rtx-5090", "--json", *arguments).out)
    assert words in " ".join(found["notes"])
    checked = json.loads(command("check", "--model", "7b", "--gpu", "rtx-5090", "--json", *arguments).out)
    assert words in " ".join(checked["warnings"])


def test_prices_say_nothing_of_inference(command: Command) -> None:
    found = json.loads(command("advise", "--model", "7b", "--gpu", "rtx-5090", "--json", "--price-per-kwh", 0.3).out)
    assert any("--price-per-kwh and --rent-per-hour are for a fine-tune" in note for note in found["notes"])


def test_without_a_dataset_prices_are_those_of_a_million_tokens(command: Command) -> None:
    prices = ("--price-per-kwh", 0.3, "--rent-per-hour", 2, "--currency", "EUR")
    (note,) = (note for note in document(command, *prices)["notes"] if "million" in note)
    cost = document(command, *prices, "--tokens", 1_000_000)["job"]["cost"]
    assert f"A million tokens cost {cost['mid']:.2g} ({cost['low']:.2g}–{cost['high']:.2g}) EUR (as asked)" in note
    assert not [note for note in document(command)["notes"] if "million" in note or "no effect" in note]


def test_one_example_is_one_example(command: Command, tmp_path: Path) -> None:
    said = " ".join(command(*ASK[:-1], "--dataset", lengths(tmp_path, 100)).out.split())
    assert "1 example, 100 tokens" in said


def test_a_job_has_steps_hours_energy_and_money_with_intervals(command: Command, tmp_path: Path) -> None:
    file = lengths(tmp_path, *([512] * 1000))
    found = document(
        command, "--dataset", file, "--epochs", 2, "--gradient-accumulation-steps", 8, "--price-per-kwh", 0.3,
        "--currency", "EUR",
    )  # fmt: skip
    job = found["job"]
    assert (job["steps"], job["computed_tokens"], job["currency"]) == (250, 1_024_000, "EUR")
    for key in ("seconds", "kwh", "cost"):
        assert 0 < job[key]["low"] < job[key]["mid"] < job[key]["high"]
    assert job["cost"]["mid"] == pytest.approx(0.3 * job["kwh"]["mid"], rel=1e-4)
    assert job["seconds"]["mid"] == pytest.approx(250 * found["speed"]["seconds_per_step"]["mid"], rel=0.01)


def test_tokens_alone_are_packed(command: Command) -> None:
    job = document(command, "--tokens", 1_000_000)["job"]
    assert job["lengths"] is None and job["steps"] == 489 and job["computed_tokens"] == 489 * 2048


def test_packing_needs_the_same_in_every_batch(command: Command, tmp_path: Path) -> None:
    found = document(command, "--dataset", lengths(tmp_path, 100, 300), "--packing")
    assert found["workload"]["sequence_length"] == 2048 and found["workload"]["lengths"] == "equal"


def test_where_it_does_not_fit_the_job_is_that_of_the_first_advice(command: Command, tmp_path: Path) -> None:
    arguments = ("--model", "13b", "--method", "lora", "--gpu", "rtx-5070")
    found = json.loads(command("advise", *arguments, "--json", "--dataset", lengths(tmp_path, 800)).out)
    assert found["verdict"]["outcome"] == "no"
    assert found["job"]["plan"] == " + ".join(move["title"] for move in found["advices"][0]["moves"])


def test_explain_shows_how_the_result_is_run(command: Command) -> None:
    found = document(command, "--explain")
    assert len(found["serving"]["ways"]) == 9 and document(command)["serving"] is None
    assert "Serving the result" in command(*ASK[:-1], "--explain").out


def test_the_screen_shows_the_job(command: Command, tmp_path: Path) -> None:
    file = lengths(tmp_path, *range(1, 2000))
    done = command(*ASK[:-1], "--dataset", file, "--price-per-kwh", 0.25, "--currency", "EUR")
    said = " ".join(done.out.split())
    for words in ("optimizer steps 1,999", "EUR at 0.25 per kWh", "50 % up to 1,000", "number 1,999 of 1,999"):
        assert words in said
    assert max(map(len, done.out.splitlines())) <= 80


def test_what_was_measured_on_the_card_corrects_advice(tmp_path: Path) -> None:
    kept = calibration()
    calibrations.save(kept)
    named = {"gpu": "rtx-5070", "method": "qlora"}
    answer = api.advise("7b", **named)
    checked = api.check("7b", **named)
    assert answer.calibration is not None and checked.calibration is not None
    assert answer.calibration.id == checked.calibration.id == kept.id
    assert answer.asked.estimate.minimum_mean == checked.options[0].estimate.minimum_mean
    nominal = api.advise("7b", **named, calibrated=False)
    assert nominal.calibration is None
    for advice in answer.advices:
        again = api.check(advice.model, gpu="rtx-5070", workload=advice.workload, plan=advice.asked)
        assert advice.estimate.minimum_mean in [option.estimate.minimum_mean for option in again.options]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no examples"),
        (b"\n \n", "has no examples"),
        (b"\x80\x03\xff\xfe" * 100, "no text in UTF-8"),
        (b'{"text": "a"}\n{"text": ', "example 2 is no JSON"),
        (b"PAR1 and then nothing", "Parquet"),
        (b"12\nmany\n", "example 2"),
    ],
    ids=["empty", "blank", "binary", "torn", "parquet", "numbers"],
)
def test_a_bad_file_is_one_sentence(command: Command, tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "data"
    file.write_bytes(content)
    done = command(*ASK, "--dataset", file)
    assert done.code in (2, 3) and done.out == "" and len(done.err.splitlines()) == 1
    assert words in done.err or done.code == 3


@pytest.mark.parametrize("start", [b"", b'{"text": "one"}\n' * 1000], ids=["a hole", "lines, then a hole"])
def test_ten_gigabytes_are_read_in_bounded_memory(tmp_path: Path, start: bytes) -> None:
    file = tmp_path / "data.jsonl"
    with file.open("wb") as opened:
        opened.write(start)
        opened.truncate(10 * 10**9)
    code = (
        "import sys; from vram_advisor.cli.app import run; code = run(sys.argv[1:]);"
        # The largest resident set of this program alone: what getrusage says includes that of its parent before exec.
        "print(code, next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code, *ASK, "--dataset", str(file)], capture_output=True, text=True)
    exit_code, kib = map(int, done.stdout.split())
    assert exit_code == 2 and len(done.stderr.splitlines()) == 1 and "characters" in done.stderr
    assert kib < 600 * 1024


def test_a_line_of_a_million_tokens_is_a_long_example(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({"text": "word " * 800_000}) + "\n" + json.dumps({"text": "short"}) + "\n")
    found = document(command, "--dataset", file)
    assert found["job"]["lengths"]["longest"] == 1_000_000 and found["job"]["lengths"]["longest_index"] == 0
    assert found["workload"]["sequence_length"] == 2048


@pytest.mark.parametrize(
    "arguments",
    [
        ("--method", "inference", "--tokens", 5), ("--tokens", 0), ("--epochs", 0, "--tokens", 5),
        ("--tokens", 5, "--dataset", "x"), ("--price-per-kwh", -1, "--tokens", 5), ("--dataset", "/no/such/file"),
        ("--epochs", "nan", "--tokens", 5), ("--tokens", 1.5),
    ],
)  # fmt: skip
def test_a_job_that_makes_no_sense_is_one_sentence(command: Command, arguments: tuple[object, ...]) -> None:
    done = command("advise", "--model", "7b", "--method", "qlora", "--gpu", "rtx-5090", *arguments)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1


def test_a_card_of_unknown_speed_has_memory_and_no_hours() -> None:
    from dataclasses import replace

    from vram_advisor.advice.job import planned_job, read_examples
    from vram_advisor.advice.pace import Pace
    from vram_advisor.domain.coefficients import NOMINAL

    asked = Dataset(tokens=1000)
    answer = api.advise("7b", gpu="rtx-5090", method="qlora")
    assert answer.device is not None
    pace = Pace(replace(answer.device, spec=None), NOMINAL)
    examples = read_examples(asked, "7b", answer.workload)
    assert planned_job(examples, asked, answer.model, answer.workload, answer.asked.plan, "as asked", pace) is None


def test_advice_takes_a_tenth_of_a_second() -> None:
    api.advise("13b", gpu="rtx-5070", method="lora")
    took = []
    for _ in range(5):
        start = time.process_time()
        api.advise("13b", gpu="rtx-5070", method="lora")
        took.append(time.process_time() - start)
    # The bound of a quiet machine is 0.1 s (benchmarks/advise.py); this one is for any.
    assert min(took) <= 0.3


def test_advice_needs_no_heavy_library() -> None:
    code = "import sys; from vram_advisor.cli.app import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code, *ASK], capture_output=True, text=True, env=environment, check=True
    )
    assert not {"numpy", "torch", "textual", "huggingface_hub"}.intersection(done.stderr.split())
