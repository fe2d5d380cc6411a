"""The sentences of an answer."""

from dataclasses import replace

import pytest
from sample_answers import BUSY, MIXTURE, answer, option

from vram_advisor.domain.plan import Workload
from vram_advisor.report import words
from vram_advisor.report.levers import levers
from vram_advisor.units.bytes import GIB


def test_the_verdict_names_what_fits_and_what_does_not() -> None:
    said = words.verdict(answer("fits"))
    assert said.badge == "FITS"
    assert said.text.startswith("Q8 needs 9.22 GiB and 11.67 GiB would be free, 2.45 GiB to spare")
    assert "FP16 does not fit: 3.55 GiB too much." in said.text
    assert "Q4 fits too" in said.text


def test_the_next_step_is_the_option_that_sets_it_apart() -> None:
    assert words.next_steps(answer("fits"))[0] == "Run Q8: --quantization int8"


def test_one_option_needs_no_next_step() -> None:
    one = replace(answer("fits"), options=answer("fits").options[1:2], recommended=0)
    assert words.next_steps(replace(one, download=None)) == []


def test_what_has_to_be_on_disk_is_said_last() -> None:
    fits, busy = (words.next_steps(answer(kind))[-1] for kind in ("fits", "busy"))
    assert fits == "To be downloaded: owner/sample-7b, 13.5 GB of disk."
    assert busy.startswith("On this machine already, whole or in part: owner/sample-7b")


def test_tight_says_how_likely_and_how_to_need_less() -> None:
    tight = answer("tight")
    assert "72 % likely to fit" in words.verdict(tight).text
    said = words.next_steps(tight)[1]
    assert said.startswith("Loss fused with the output layer (Liger): fits, needs 10.67 GiB, 1.00 GiB to spare")
    assert said.endswith("about 8 % less time (--loss liger).")
    assert "To need less" in words.next_steps(replace(tight, advices=()))[1]
    assert words.aside(tight) == "Q4 is tight: 72 % likely to fit."


def test_where_nothing_fits_the_nearest_option_is_shown() -> None:
    nothing = answer("no")
    assert words.shown(nothing).title == "Q4"
    assert words.verdict(nothing).text.startswith("Even Q4 does not fit.")
    assert words.next_steps(nothing)[2].startswith("The smallest cards that would do: FP16: Card 24 GB (24.0 GiB)")


def test_without_a_card_the_needs_are_said() -> None:
    said = words.verdict(answer("unknown"))
    assert said.badge == "UNKNOWN" and "FP16 15.22 GiB, Q8 9.22 GiB, Q4 6.22 GiB" in said.text
    aside = words.aside(answer("unknown"))
    assert aside is not None and "--gpu" in aside


def test_processes_that_stand_in_the_way_are_named() -> None:
    steps = words.next_steps(answer("busy"))
    assert any(step.startswith("Q8: ") for step in steps)
    assert not any(step.startswith("FP16: ") for step in steps), "closing 3 GiB does not make 15 GiB fit in 8"


def test_a_detected_card_has_memory_free_now() -> None:
    assert "8.00 GiB are free" in words.verdict(answer("busy")).text


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (1.0, "more than 99.9 % likely to fit"),
        (0.97, "97 % likely to fit"),
        (0.0001, "less than 0.1 % likely to fit"),
        (None, "nothing is known about whether it fits"),
    ],
)
def test_odds(probability: float | None, said: str) -> None:
    assert words.odds(probability) == said


def test_a_mixture_says_that_inactive_experts_need_memory() -> None:
    mixture = replace(answer("fits"), model=MIXTURE, active_parameters=2_000_000_000)
    assert "2.00 B active per token: all of them need memory" in words.title(mixture)


def test_several_gpus_and_objectives_are_in_the_title() -> None:
    asked = replace(answer("fits"), workload=Workload(method="full", objective="dpo"), device=replace(BUSY, count=4))
    assert words.title(asked).endswith("full fine-tune DPO on 4 × Sample 12 GB")


def test_levers_follow_what_is_large_and_not_yet_pulled() -> None:
    lora = Workload(method="lora")
    q8 = option("Q8", "int8", 7 * GIB, BUSY, 0.1)
    assert levers(q8, lora)[0] == "store the base in fewer bits (--quantization q4)"
    assert any("--loss liger" in lever for lever in levers(q8, lora))
    q4 = replace(q8, plan=replace(q8.plan, quantization="nf4", loss="liger"))
    assert levers(q4, lora)[-1] == "take a smaller model"
    assert not any("--loss" in lever for lever in levers(q4, lora))


def test_full_training_is_pointed_to_adapters() -> None:
    q8 = option("pure bf16", "bf16", 7 * GIB, BUSY, 0.1)
    assert "--method lora" in levers(q8, Workload(method="full"))[0]


def test_inference_is_pointed_to_its_own_options() -> None:
    q8 = option("Q8", "int8", 2 * GIB, BUSY, 0.1)
    said = " ".join(levers(q8, Workload(num_sequences=4)))
    assert "--num-sequences below 4" in said and "--loss" not in said and "--sequence-length" not in said


def test_a_no_that_is_uncertain_says_how_likely_it_is() -> None:
    nothing = answer("no")
    last = nothing.options[2]
    unsure = replace(last, verdict=replace(last.verdict, probability=0.35))
    said = words.verdict(replace(nothing, options=(*nothing.options[:2], unsure))).text
    assert said.startswith("Even Q4 probably does not fit.") and said.endswith("It is 35 % likely to fit.")
