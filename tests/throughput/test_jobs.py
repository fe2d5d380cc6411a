"""Steps, hours, energy and money of a dataset."""

import random
from dataclasses import replace

import pytest

from vram_advisor.domain.efficiencies import EFFICIENCIES
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Span, Speed, spread
from vram_advisor.throughput.dataset import batch_lengths, job, summarised
from vram_advisor.throughput.energy import cost, energy, tokens_per_joule, watts
from vram_advisor.throughput.training import training_speed
from vram_advisor.units.errors import BadInput


def proportional(length: int) -> Speed:
    """A step of one second per thousand tokens of its sequences, known to 10 %."""
    seconds = length / 1000
    return Speed(spread(seconds, 0.1), spread(1000.0, 0.1), length, (), 0.1)


def test_steps_count_batches_accumulation_and_epochs(a100: GpuSpec) -> None:
    found = job(
        [100] * 1000, proportional, sequence_length=512, micro_batch_size=4, gradient_accumulation_steps=8, epochs=3,
        gpu=a100,
    )  # fmt: skip
    # 250 micro batches are 31.25 optimizer steps; the last of an epoch is a short one.
    assert found.steps == 96
    assert found.seconds.mid == pytest.approx(0.1 * 250 / 8 * 3)
    assert found.computed_tokens == 300_000
    assert found.padding_share == 0


def test_padded_batches_cost_their_longest_sample(a100: GpuSpec) -> None:
    lengths = [100] * 900 + [1000] * 100
    alone, four = (job(lengths, proportional, sequence_length=2048, micro_batch_size=b, gpu=a100) for b in (1, 4))
    assert alone.padding_share == pytest.approx(0)
    assert alone.seconds.mid == pytest.approx((900 * 100 + 100 * 1000) / 1000, rel=1e-3)
    # One of four is long with probability 1 - 0.9^4.
    longest = 100 + 900 * (1 - 0.9**4)
    assert four.computed_tokens == pytest.approx(1000 * longest, rel=0.01)
    assert four.padding_share == pytest.approx(1 - 190 / longest, rel=0.01)


def test_the_expected_longest_of_a_batch_is_that_of_random_batches() -> None:
    chance = random.Random(5)
    lengths = [round(chance.lognormvariate(5.5, 0.8)) for _ in range(3000)]
    for batch in (1, 2, 8):
        expected = sum(length * probability for length, probability in batch_lengths(lengths, batch, 4096))
        drawn = [max(min(n, 4096) for n in chance.choices(lengths, k=batch)) for _ in range(20_000)]
        assert expected == pytest.approx(sum(drawn) / len(drawn), rel=0.02)
        assert sum(probability for _, probability in batch_lengths(lengths, batch, 4096)) == pytest.approx(1)


def test_packed_examples_fill_sequences(a100: GpuSpec) -> None:
    packed = job([300] * 100, proportional, sequence_length=1000, gpu=a100, packed=True)
    assert (packed.steps, packed.computed_tokens) == (30, 30_000)
    assert packed.seconds.mid == pytest.approx(30)


def test_long_examples_are_cut_and_the_longest_is_named(a100: GpuSpec) -> None:
    lengths = [10, 5000, 20, 5000, 30]
    found = job(lengths, proportional, sequence_length=1000, gpu=a100)
    assert found.computed_tokens == 2060
    summary = found.lengths
    assert (summary.longest, summary.longest_index, summary.cut) == (5000, 1, 2)
    assert dict(summary.percentiles)[50] == 30
    assert dict(summary.percentiles)[100] == 5000


def test_what_was_not_read_is_like_what_was(a100: GpuSpec) -> None:
    whole, tenth = (job([50] * 1000, proportional, sequence_length=512, gpu=a100, share=s) for s in (1.0, 0.1))
    assert tenth.steps == 10 * whole.steps
    assert tenth.seconds.mid == pytest.approx(10 * whole.seconds.mid)


def test_several_gpus_share_the_examples(a100: GpuSpec) -> None:
    assert job([50] * 1000, proportional, sequence_length=512, gpu=a100, gpus=8).steps == 125


def test_energy_is_board_power_times_use_times_time(a100: GpuSpec) -> None:
    use = EFFICIENCIES.power_training
    assert watts(a100, use, 2) == pytest.approx(2 * 400 * use.value)
    hour = energy(Span(3000.0, 3600.0, 4320.0), 0.1, a100, use, 2, other_watts=100)
    assert hour is not None
    assert hour.mid == pytest.approx((2 * 400 * use.value + 100) / 1000)
    assert hour.low < hour.mid < hour.high
    assert energy(Span(1.0, 1.0, 1.0), 0.1, replace(a100, tdp_w=None), use) is None
    joule = tokens_per_joule(Span(900.0, 1000.0, 1100.0), 0.05, a100, use)
    assert joule is not None
    assert joule.mid == pytest.approx(1000 / (400 * use.value))


def test_money_is_energy_and_rent_in_the_currency_of_the_caller(a100: GpuSpec) -> None:
    seconds, kwh = Span(3600.0, 7200.0, 10800.0), Span(1.0, 2.0, 3.0)
    assert cost(kwh, seconds, 0.3, 1.5) == Span(0.3 + 1.5, 0.6 + 3.0, pytest.approx(0.9 + 4.5))
    assert cost(None, seconds, None, 1.5) == Span(1.5, 3.0, 4.5)
    assert cost(kwh, seconds, None) is None
    assert cost(None, seconds, 0.3) is None
    free, paid = (
        job([100], proportional, sequence_length=512, gpu=a100, price_per_kwh=price, currency="EUR")
        for price in (None, 0.3)
    )
    assert (free.cost, free.currency) == (None, None)
    assert paid.cost is not None
    assert paid.currency == "EUR"


def test_a_dataset_without_examples_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="The dataset has no examples"):
        summarised([], 512)


def test_alpaca_on_a_consumer_card_takes_hours(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    """52,000 examples of some 110 tokens, three epochs: 17 M tokens at two to three thousand a second."""
    habits, plan = recipe("transformers-peft"), Plan(quantization="nf4_double")

    def speed_of(length: int) -> Speed:
        workload = Workload(method="qlora", sequence_length=length, micro_batch_size=8, gradient_accumulation_steps=2)
        found = training_speed(llama_7b, workload, plan, rtx_4090, habits)
        assert found is not None
        return found

    chance = random.Random(1)
    lengths = [round(chance.lognormvariate(4.5, 0.6)) for _ in range(52_000)]
    found = job(lengths, speed_of, sequence_length=512, micro_batch_size=8, gradient_accumulation_steps=2, epochs=3,
                gpu=rtx_4090, price_per_kwh=0.3, currency="EUR")  # fmt: skip
    assert found.steps == 9750
    assert 2 < found.seconds.mid / 3600 < 8
    assert found.kwh is not None
    assert 1 < found.kwh.mid < 3
    assert 0.3 < found.padding_share < 0.6
