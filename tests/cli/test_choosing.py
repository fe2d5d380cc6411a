"""``models --fit`` and ``gpus --for``: models that fit a card, and cards that do a job."""

import json
import time
from typing import Any

import pytest
from done import Command

from tests.report.json_schema import problems
from tests.sample_calibrations import calibration
from vram_advisor import api
from vram_advisor.advice.longest import longest_length
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.report.schema import schema
from vram_advisor.sources import calibrations
from vram_advisor.units.errors import BadInput

FEW = ("llama", "13b")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_models_that_fit_are_what_check_says_of_them(command: Command) -> None:
    done = command("models", *FEW, "--fit", "--gpu", "rtx-5080", "--method", "qlora", "--json")
    found = json.loads(done.out)
    assert done.code == 0 and problems(found, schema("fit")) == []
    assert {model["id"] for model in found["models"]} == {"codellama-13b", "llama-13b", "llama-2-13b"}
    for model in found["models"]:
        (option, *_) = api.check(model["id"], gpu="rtx-5080", method="qlora").options
        assert (option.title, int(option.estimate.minimum_mean)) == (model["title"], model["need_bytes"])
        assert option.verdict.outcome == model["outcome"]


def test_the_longest_sequence_fits_and_a_longer_one_does_not(command: Command) -> None:
    found = json.loads(
        command("models", "codellama-13b", "--fit", "--gpu", "rtx-5080", "--method", "qlora", "--json").out
    )
    (model,) = found["models"]
    for length, outcome in ((model["longest"], "fits"), (model["longest"] + 64, "tight")):
        again = api.check("codellama-13b", gpu="rtx-5080", method="qlora", sequence_length=length)
        assert again.options[0].verdict.outcome == outcome


@pytest.mark.parametrize(("limit", "found"), [(1000, 960), (4096, 4096), (63, 0), (64, 64), (130, 128)])
def test_a_length_is_found_by_few_questions(limit: int, found: int) -> None:
    asked: list[int] = []

    def short(length: int) -> float:
        asked.append(length)
        return length - limit + 0.002 * (length**2 - limit**2)

    assert longest_length(short, 4096, 64) == found
    assert len(asked) <= 14


def test_a_line_that_bends_at_a_window_is_followed() -> None:
    """Layers with a window grow up to 4,096 tokens, the others by a tenth of that."""
    asked: list[int] = []

    def short(length: int) -> float:
        asked.append(length)
        return min(length, 4096) + length / 10 - 4096 - 2400

    assert longest_length(short, 131_072, 256) in (23_808, 23_552)
    assert len(asked) <= 30


def test_nothing_fits_is_an_answer_and_no_success(command: Command) -> None:
    done = command("models", "llama-2-70b", "--fit", "--gpu", "rtx-5070", "--method", "full")
    assert done.code == 1 and "None of the 1 models" in done.out


def test_cards_are_what_check_says_of_them(command: Command) -> None:
    done = command("gpus", "rtx", "50", "--for", "13b", "--method", "qlora", "--gpu", "rtx-5070", "--json")
    found = json.loads(done.out)
    assert done.code == 0 and problems(found, schema("for")) == []
    cards = {card["id"]: card for card in found["cards"]}
    assert cards["rtx-5070"]["times_as_fast"] == 1
    assert cards["rtx-5090"]["times_as_fast"] > cards["rtx-5080"]["times_as_fast"] > 1
    for id in ("rtx-5070", "rtx-5090"):
        (option, *_) = api.check("13b", gpu=id, method="qlora").options
        assert int(option.estimate.minimum_mean) == cards[id]["need_bytes"]
        assert option.verdict.headroom_bytes == cards[id]["headroom_bytes"]
    span = cards["rtx-5090"]["tokens_per_second"]
    assert 0 < span["low"] < span["mid"] < span["high"]


def test_cards_of_other_names_are_found_or_refused() -> None:
    named = api.rank("7b", cards=["RTX 5090", "rtx-4090"], method="qlora")
    assert {card.spec.id for card in named.cards} == {"rtx-5090", "rtx-4090"}
    with pytest.raises(BadInput, match="Nearest: .*rtx-5090"):
        api.rank("7b", cards=["rtx-4090", "rtx-50900"], method="qlora")


def test_several_of_a_kind_cost_and_draw_so_many_times_as_much(command: Command) -> None:
    ask = ("gpus", "rtx-5090", "--for", "7b", "--method", "lora", "--json")
    one, two = (
        next(card for card in json.loads(command(*ask, *more).out)["cards"] if card["id"] == "rtx-5090")
        for more in ((), ("--num-gpus", 2))
    )
    assert two["count"] == 2 and two["list_price_usd"] == 2 * one["list_price_usd"]
    assert two["power_w"] == 2 * one["power_w"]


def test_a_price_is_called_a_list_price_with_its_source_and_date(command: Command) -> None:
    said = " ".join(command("gpus", "rtx-5090", "--for", "7b", "--method", "lora").out.split())
    assert "list price at launch" in said and "approximate" in said and "checked 20" in said


@pytest.mark.parametrize("arguments", [
    ("gpus", "--for", "7b", "nosuchcard"), ("models", "--fit", "--gpu", "t4", "nosuchmodel"),
    ("gpus", "--gpu", "rtx-5070"), ("gpus", "--method", "lora"), ("models", "--gpu", "rtx-5070"),
    ("models", "--fit", "--gpu", "rtx-5070", "--gpu-index", 0), ("gpus", "--for", "7b", "--gpu", "nothing-like-it"),
    ("gpus", "--for", "no-such-model"), ("models", "--fit", "--gpu", "rtx-5070", "--lora-r", 1.5),
])  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(command: Command, arguments: tuple[object, ...]) -> None:
    done = command(*arguments)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1


def test_without_a_card_there_is_nothing_to_fit(command: Command) -> None:
    done = command("models", "--fit")
    assert done.code == 3 and "--gpu" in done.err


@pytest.mark.parametrize("method", ["qlora", "inference"])
def test_all_cards_take_about_half_a_second(method: str) -> None:
    took = []
    for _ in range(3):
        start = time.process_time()
        assert len(api.rank("13b", method=method, gpu="rtx-5070", quantization="q4").cards) > 100
        took.append(time.process_time() - start)
    assert min(took) <= 0.5


def test_what_was_measured_on_the_card_corrects_the_lists(command: Command) -> None:
    kept = calibration()
    calibrations.save(kept)
    named: dict[str, Any] = {"gpu": "rtx-4090", "method": "qlora"}
    fitting = api.fitting(models=["llama-2-7b"], **named)
    assert fitting.calibration is not None and fitting.calibration.id == kept.id
    assert fitting.models[0].need_bytes == int(api.check("7b", **named).options[0].estimate.minimum_mean)
    assert (
        fitting.models[0].need_bytes
        != api.fitting(models=["llama-2-7b"], **named, calibrated=False).models[0].need_bytes
    )
    ranking = api.rank("7b", cards=["rtx-4090", "rtx-5090"], **named)
    kinships = {card.spec.id: card.calibration.kinship for card in ranking.cards if card.calibration}
    assert kinships == {"rtx-4090": "gpu and recipe", "rtx-5090": "recipe"}
    assert ranking.now is not None and ranking.now.calibration is not None
    local = api.survey(gpu="rtx-4090")
    assert local.calibration is not None and local.calibration.id == kept.id
    fit = ("models", "--fit", "--gpu", "rtx-4090", "--method", "qlora", "llama-2")
    assert "Calibrated on a GPU of this kind" in " ".join(command(*fit).out.split())
    assert "Nominal coefficients, not calibrated." in " ".join(command(*fit, "--no-calibration").out.split())
    said = " ".join(command("gpus", "--for", "7b", "--gpu", "rtx-4090", "--method", "qlora", "40").out.split())
    assert "Calibrated on such a card: rtx-4090" in said


def test_the_largest_model_at_each_precision_fits_and_the_next_does_not(command: Command) -> None:
    found = api.fitting(gpu="rtx-5080", method="qlora")
    assert [step.title for step in found.steps] == ["Q4", "Q8"]
    for step in found.steps:
        for needed, fits in ((step.largest, True), (step.next, False)):
            assert needed is not None
            again = api.check(needed.model, gpu="rtx-5080", method="qlora", quantization=step.title)
            assert int(again.options[0].estimate.minimum_mean) == needed.need_bytes
            assert (again.options[0].verdict.outcome == "fits") is fits
    larger = [m for m in found.models if m.verdict.outcome == "fits" and m.title == "Q4"]
    assert found.steps[0].largest is not None
    assert max(m.parameters for m in larger) == count_parameters(found.steps[0].largest.model)


def test_an_upgrade_is_measured_against_the_present_card(command: Command) -> None:
    document = json.loads(command("gpus", "--for", "7b", "--method", "lora", "--gpu", "rtx-4060", "--json").out)
    assert problems(document, schema("for")) == []
    present = document["present_card"]
    assert present["id"] == "rtx-4060" and present["outcome"] == "no" and present["more_memory_bytes"] == 0
    card = next(card for card in document["cards"] if card["id"] == "rtx-3090")
    assert card["more_memory_bytes"] == 16 * 2**30
    assert card["more_power_w"] == 350 - 115
    assert card["more_list_price_usd"] == card["list_price_usd"] - present["list_price_usd"]
    said = " ".join(command("gpus", "--for", "7b", "--method", "lora", "--gpu", "rtx-4060").out.split())
    assert "beside NVIDIA GeForce RTX 4060, where it does not fit" in said
