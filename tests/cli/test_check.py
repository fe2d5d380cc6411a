"""``vram-advisor check``: exit codes, what goes to which stream, and sentences for bad input."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from done import Command

from vram_advisor import api
from vram_advisor.advice.options import recommend
from vram_advisor.cli import check as check_module
from vram_advisor.cli.exit_codes import ExitCode, code_of
from vram_advisor.domain.answer import Answer
from vram_advisor.domain.estimate import Outcome
from vram_advisor.domain.plan import Plan, Workload

LORA = ("check", "--model", "7b", "--method", "lora")
ON_5070 = (*LORA, "--gpu", "rtx-5070")


def with_outcomes(answer: Answer, *outcomes: Outcome) -> Answer:
    """The answer with other verdicts, and with the recommendation that follows from them."""
    options = [
        replace(option, verdict=replace(option.verdict, outcome=outcome, probability={"fits": 1.0, "tight": 0.7}.get(outcome, 0.0)))
        for option, outcome in zip(answer.options, outcomes, strict=True)
    ]  # fmt: skip
    return replace(answer, options=tuple(options), recommended=recommend(options))


@pytest.fixture(scope="module")
def real() -> Answer:
    """An answer of the real model for a named card."""
    return api.check("7b", method="lora", gpu="rtx-5070")


def test_it_fits(command: Command) -> None:
    done = command(*ON_5070)
    assert done.code == 0
    assert done.err == ""
    assert "FITS" in done.out and "NVIDIA GeForce RTX 5070" in done.out
    assert "\x1b" not in done.out, "no colour where nobody looks"


def test_json_is_all_of_standard_output(command: Command) -> None:
    done = command(*ON_5070, "--json")
    document = json.loads(done.out)
    assert done.code == 0 and done.err == ""
    assert document["schema_version"] == 1
    assert [option["title"] for option in document["options"]] == ["FP16", "Q8", "Q4"]
    assert document["options"][document["recommended"]]["verdict"]["outcome"] == "fits"


def test_without_a_gpu_it_answers_and_says_so_on_standard_error(command: Command) -> None:
    done = command(*LORA)
    assert done.code == 0
    assert "UNKNOWN" in done.out and "smallest cards" in done.out
    assert done.err.count("\n") == 1 and "--gpu" in done.err


def test_json_without_a_gpu(command: Command) -> None:
    done = command(*LORA, "--json")
    document = json.loads(done.out)
    assert document["device"] is None and document["recommended"] is None
    assert document["smallest_gpus"][0]["option"] == 0
    assert done.err.count("\n") == 1


def test_strict_makes_unknown_a_failure(command: Command) -> None:
    assert command(*LORA, "--strict").code == 1


def test_nothing_fits(command: Command) -> None:
    done = command("check", "--model", "70b", "--method", "full", "--gpu", "rtx-5070")
    assert done.code == 1
    assert done.out.count("does not fit") >= 1
    assert done.err == ""


@pytest.mark.parametrize(
    ("outcomes", "code", "strict"),
    [
        (("fits", "fits", "fits"), 0, 0),
        (("no", "fits", "fits"), 0, 0),
        (("no", "no", "tight"), 0, 1),
        (("tight", "fits", "fits"), 0, 0),
        (("no", "no", "no"), 1, 1),
        (("no", "no", "spill"), 1, 1),
        (("spill", "spill", "spill"), 1, 1),
    ],
)
def test_exit_codes(real: Answer, outcomes: tuple[Outcome, ...], code: int, strict: int) -> None:
    answer = with_outcomes(real, *outcomes)
    assert code_of(answer, strict=False) == code
    assert code_of(answer, strict=True) == strict


def test_without_a_card_the_exit_code_is_that_of_unknown(real: Answer) -> None:
    unknown = replace(real, device=None, recommended=None)
    assert code_of(unknown, strict=False) == 0
    assert code_of(unknown, strict=True) == 1


def test_tight_says_a_line_on_standard_error(command: Command, real: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = with_outcomes(real, "no", "no", "tight")
    monkeypatch.setattr(check_module.api, "check", lambda *args, **kwargs: tight)
    done = command(*ON_5070)
    assert done.code == 0 and "TIGHT" in done.out
    assert done.err == "vram-advisor: Q4 is tight: 70 % likely to fit.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "--model", "llama-3.1-8q"), "llama-3.1-8b"),
        (("check", "--model", ""), "model"),
        (("check",), "--model"),
        (("check", "--model", "7b", "--gpu", "rtx-5071"), "rtx-5070"),
        (("check", "--model", "7b", "--gpu", "3060"), "rtx-3060-12gb or rtx-3060-8gb"),
        ((*ON_5070, "--sequence-length", "0"), "--sequence-length 0: should be greater than or equal to 1"),
        ((*ON_5070, "--sequence-length", "-1"), "--sequence-length -1"),
        ((*ON_5070, "--sequence-length", "many"), "--sequence-length many"),
        ((*ON_5070, "--micro-batch-size", "1e99"), "--micro-batch-size 1e99"),
        ((*ON_5070, "--lora-dropout", "1.5"), "--lora-dropout 1.5"),
        (("check", "--model", "7b", "--method", "lor"), "the nearest is lora"),
        ((*ON_5070, "--quantization", "q5"), "--quantization q5 is not known: use one of fp16, q8, q4"),
        ((*ON_5070, "--optimizer", "adam"), "--optimizer adam is not known"),
        ((*ON_5070, "--recipe", "my-own"), "--recipe my-own is not known"),
        ((*ON_5070, "--objective", "grpo"), "--objective grpo"),
        ((*ON_5070, "--target-modules", "w_proj"), "w_proj"),
        ((*ON_5070, "--sequence-lenght", "5"), "--sequence-length"),
        ((*ON_5070, "stray"), "'stray' belongs to no option"),
        ((*ON_5070, "--gpu-index", "0"), "one of the two"),
        (("chek",), "check"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(command: Command, arguments: tuple[str, ...], said: str) -> None:
    done = command(*arguments)
    assert done.code == ExitCode.BAD_INPUT
    assert done.out == ""
    assert done.err.startswith("vram-advisor: ") and done.err.count("\n") == 1
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_no_configuration_is_named(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("[]")
    done = command("check", "--model", str(path))
    assert done.code == 2 and str(path) in done.err


@pytest.mark.parametrize("typed", [("--sequence-length", "1.5"), ("--sequence-length=1.5",), ("--lora-r", "16.0")])
def test_a_fraction_is_not_rounded_without_a_word(command: Command, typed: tuple[str, ...]) -> None:
    done = command(*ON_5070, *typed)
    assert done.code == 2 and done.out == ""
    assert "should be a whole number." in done.err


def test_a_gpu_index_that_is_not_there_is_missing(command: Command) -> None:
    done = command("check", "--model", "7b", "--gpu-index", "3")
    assert done.code == ExitCode.MISSING
    assert done.out == "" and "There is no GPU 3 here" in done.err


def test_options_reach_the_estimate(command: Command) -> None:
    done = command(
        *ON_5070, "--json", "--quantization", "q4", "--lora-r", "8", "--target-modules", "q_proj", "v_proj",
        "--sequence-length", "512", "--micro-batch-size", "2", "--optimizer", "adamw_bnb_8bit",
    )  # fmt: skip
    document = json.loads(done.out)
    (option,) = document["options"]
    assert document["workload"]["sequence_length"] == 512 and document["workload"]["micro_batch_size"] == 2
    assert option["plan"]["quantization"] == "nf4_double"
    assert option["plan"]["target_modules"] == ["q_proj", "v_proj"]
    assert option["plan"]["lora_r"] == 8 and option["plan"]["optimizer"] == "adamw_bnb_8bit"


def test_explain_shows_every_product(command: Command) -> None:
    short, full = command(*ON_5070).out, command(*ON_5070, "--explain").out
    assert full.count("\n") > short.count("\n")
    assert "Every product behind Q8" in full and "from torch" in full


@pytest.mark.parametrize(("variable", "coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colour_follows_the_environment(
    command: Command, monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool
) -> None:
    monkeypatch.setenv(variable, "1")
    assert ("\x1b[" in command(*ON_5070).out) is coloured


@pytest.mark.parametrize("columns", ["80", "100", "120", "0", "wide"])
def test_width_follows_the_terminal(command: Command, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    widest = int(columns) if columns.isdigit() and columns != "0" else 80
    assert max(map(len, command(*ON_5070).out.splitlines())) <= widest


def test_ctrl_c_ends_quietly(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_module.api, "check", interrupted)
    monkeypatch.setattr("vram_advisor.cli.app.quiet_streams", lambda: None)
    done = command(*ON_5070)
    assert (done.code, done.out, done.err) == (130, "", "")


def test_every_field_is_an_option(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    text = " ".join(command("check", "--help").out.replace("│", " ").split())
    for field in (*vars(Workload()), *vars(Plan())):
        assert f"--{field.replace('_', '-')} " in text, field
    assert "[default: 2048]" in text and "nf4_double" in text and "adamw_bnb_8bit" in text
