"""Laws of a training step."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.efficiencies import EFFICIENCIES
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.throughput import Speed
from vram_advisor.sources.catalog_gpus import find_gpu, list_gpus
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.throughput.training import training_speed

HABITS = recipe("transformers-peft")
LORA = Workload(method="lora", sequence_length=2048, micro_batch_size=4)
BF16 = Plan(quantization="bf16")
NF4 = Plan(quantization="nf4_double")


def timed(model: ModelSpec, workload: Workload, plan: Plan, gpu: GpuSpec, **more: object) -> Speed:
    found = training_speed(model, workload, plan, gpu, HABITS, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def work_of(speed: Speed, label: str) -> float:
    return sum(float(term.work) for term in speed.terms if term.label == label)


def seconds_of(speed: Speed, label: str) -> float:
    return sum(float(term.seconds) for term in speed.terms if term.label == label)


def test_a_full_step_without_checkpointing_takes_six_operations_per_weight(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    plan = Plan(quantization="bf16", gradient_checkpointing="none")
    speed = timed(llama_7b, replace(LORA, method="full"), plan, a100)
    weights = 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096
    assert work_of(speed, "products with the weights") == 6 * weights * 8192


def test_frozen_weights_have_no_gradient(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    plan = Plan(quantization="bf16", gradient_checkpointing="none", target_modules=("q_proj",), lora_r=1)
    full = work_of(timed(llama_7b, replace(LORA, method="full"), plan, a100), "products with the weights")
    lora = work_of(timed(llama_7b, LORA, plan, a100), "products with the weights")
    assert lora / full == pytest.approx(2 / 3, rel=0.001)


def test_checkpointing_computes_the_layers_once_more(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    without, with_it = (
        timed(llama_7b, LORA, replace(BF16, gradient_checkpointing=each), a100)  # type: ignore[arg-type]
        for each in ("none", "full")
    )
    assert 1.25 < with_it.seconds_per_step.mid / without.seconds_per_step.mid < 1.5


def test_quantised_weights_are_unpacked_in_every_pass_whatever_the_batch(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    small, large = (timed(llama_7b, replace(LORA, micro_batch_size=b), NF4, a100) for b in (1, 16))
    assert seconds_of(small, "dequantisation") == seconds_of(large, "dequantisation") > 0
    tax = [
        timed(llama_7b, replace(LORA, micro_batch_size=b), NF4, a100).seconds_per_step.mid
        / timed(llama_7b, replace(LORA, micro_batch_size=b), BF16, a100).seconds_per_step.mid
        for b in (1, 16)
    ]
    assert 1 < tax[1] < tax[0] < 1.3


def test_longer_sequences_cost_more_than_their_tokens(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    short = timed(llama_7b, replace(LORA, micro_batch_size=16, sequence_length=2048), BF16, a100)
    long = timed(llama_7b, replace(LORA, micro_batch_size=1, sequence_length=32768), BF16, a100)
    assert long.seconds_per_step.mid > 1.2 * short.seconds_per_step.mid
    assert work_of(long, "attention") == pytest.approx(16 * work_of(short, "attention"))


def test_small_batches_wait_for_kernels_to_start(a100: GpuSpec) -> None:
    model = find_model("qwen2.5-0.5b")
    tiny = timed(model, replace(LORA, micro_batch_size=1, sequence_length=128), BF16, a100)
    assert tiny.limit == "launch"
    twice = timed(model, replace(LORA, micro_batch_size=1, sequence_length=256), BF16, a100)
    assert twice.seconds_per_step.mid < 1.05 * tiny.seconds_per_step.mid


def test_more_tokens_take_longer_and_are_trained_faster(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    speeds = [timed(llama_7b, replace(LORA, micro_batch_size=b), NF4, rtx_4090) for b in (1, 2, 4, 8)]
    times = [speed.seconds_per_step.mid for speed in speeds]
    rates = [speed.tokens_per_second.mid for speed in speeds]
    assert times == sorted(times)
    assert rates == sorted(rates)


def test_accumulation_repeats_the_micro_batch_but_not_the_update(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    work = replace(LORA, method="full")
    once, eight = (timed(llama_7b, replace(work, gradient_accumulation_steps=n), BF16, a100) for n in (1, 8))
    assert eight.tokens_per_step == 8 * once.tokens_per_step
    assert 7 < eight.seconds_per_step.mid / once.seconds_per_step.mid < 8
    assert seconds_of(once, "update of the weights") == seconds_of(eight, "update of the weights")


def test_an_update_that_is_not_fused_moves_twice_as_much(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    fused, separate = (
        timed(llama_7b, replace(LORA, method="full"), replace(BF16, optimizer=name), a100)
        for name in ("adamw_torch_fused", "adamw_torch")
    )
    ratio = seconds_of(separate, "update of the weights") / seconds_of(fused, "update of the weights")
    assert 1.5 < ratio < 2.5


def test_fused_kernels_and_losses_save_time(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    plain = timed(llama_7b, LORA, BF16, a100)
    for other in (replace(BF16, loss="liger"), replace(BF16, recipe="unsloth")):
        habits = recipe(other.recipe)
        assert training_speed(llama_7b, LORA, other, a100, habits).tokens_per_second.mid > plain.tokens_per_second.mid  # type: ignore[union-attr]


def test_pairs_of_answers_and_a_reference_model_cost_their_passes(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    sft, dpo = (timed(llama_7b, replace(LORA, objective=each), BF16, a100) for each in ("sft", "dpo"))
    assert dpo.tokens_per_step == 2 * sft.tokens_per_step
    assert 2.4 < dpo.seconds_per_step.mid / sft.seconds_per_step.mid < 3


def test_attention_written_out_is_slower_the_longer_the_sequence(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    def price(length: int) -> float:
        workload = replace(LORA, sequence_length=length, micro_batch_size=1)
        eager = replace(BF16, attn_implementation="eager")
        written_out = timed(llama_7b, workload, eager, a100).seconds_per_step.mid
        return float(written_out / timed(llama_7b, workload, BF16, a100).seconds_per_step.mid)

    assert 1 < price(512) < price(2048) < price(8192)


def test_weights_from_the_host_are_free_under_a_long_enough_step() -> None:
    model, gpu = find_model("qwen3-32b"), find_gpu("rtx-5090")
    offloaded = replace(NF4, offload="parameters")

    def price(length: int) -> float:
        workload = Workload(method="qlora", sequence_length=length)
        slow = timed(model, workload, offloaded, gpu).seconds_per_step.mid
        return float(slow / timed(model, workload, NF4, gpu).seconds_per_step.mid)

    assert price(7168) < 1.02
    assert price(128) > 1.15
    assert timed(model, Workload(method="qlora", sequence_length=128), offloaded, gpu).limit == "pcie"


def test_states_on_the_host_are_updated_at_the_speed_of_its_memory(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    full = replace(LORA, method="full")
    slow = timed(llama_7b, full, replace(BF16, offload="optimizer"), a100)
    slower = timed(llama_7b, full, replace(BF16, offload="optimizer"), a100, host_gb_per_s=20)
    assert timed(llama_7b, full, BF16, a100).seconds_per_step.mid < slow.seconds_per_step.mid
    assert slower.limit == "host"


def test_a_paged_optimizer_pays_only_for_what_does_not_fit(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    paged = replace(BF16, optimizer="paged_adamw_8bit")
    full = replace(LORA, method="full")
    assert seconds_of(timed(llama_7b, full, paged, a100), "pages of optimizer states") == 0
    small = find_gpu("rtx-5090")
    assert seconds_of(timed(llama_7b, full, paged, small), "pages of optimizer states") > 0


@pytest.mark.parametrize("sharding", ["ddp", "fsdp_full", "fsdp_grad_op", "zero1", "zero2", "zero3"])
def test_several_gpus_are_faster_than_one_and_slower_than_their_number(
    llama_7b: ModelSpec, rtx_4090: GpuSpec, sharding: str
) -> None:
    alone = timed(llama_7b, LORA, BF16, rtx_4090)
    four = timed(llama_7b, LORA, replace(BF16, num_gpus=4, sharding=sharding), rtx_4090)  # type: ignore[arg-type]
    assert 1 < four.tokens_per_second.mid / alone.tokens_per_second.mid < 4


def test_a_faster_connection_helps_where_weights_are_gathered(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    plan = replace(BF16, num_gpus=2, sharding="fsdp_full")
    short = replace(LORA, micro_batch_size=1, sequence_length=512)
    slow, fast = (timed(llama_7b, short, plan, rtx_4090, link_gb_per_s=rate) for rate in (4.0, 200.0))
    assert slow.limit == "interconnect"
    assert slow.seconds_per_step.mid > 2 * fast.seconds_per_step.mid


def test_a_card_without_bf16_is_told_by_its_rate(llama_7b: ModelSpec) -> None:
    t4 = find_gpu("t4")
    emulated, half = (timed(llama_7b, LORA, replace(BF16, weights_dtype=each), t4) for each in ("bf16", "fp16"))
    assert emulated.seconds_per_step.mid > 2 * half.seconds_per_step.mid


def test_every_point_of_a_grid_equals_the_single_step(mixtral: ModelSpec, a100: GpuSpec) -> None:
    batches, lengths = np.array([1, 2, 8])[:, None], np.array([64, 700, 9000])[None, :]
    grid = timed(mixtral, LORA, NF4, a100, micro_batch_size=batches, sequence_length=lengths)
    for i, b in enumerate(batches[:, 0]):
        for j, s in enumerate(lengths[0]):
            alone = timed(mixtral, replace(LORA, micro_batch_size=int(b), sequence_length=int(s)), NF4, a100)
            assert grid.seconds_per_step.high[i, j] == pytest.approx(alone.seconds_per_step.high, rel=1e-12)
            assert grid.tokens_per_second.mid[i, j] == pytest.approx(alone.tokens_per_second.mid, rel=1e-12)


def test_a_measured_factor_multiplies_the_speed_and_narrows_it(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    nominal = timed(llama_7b, LORA, BF16, a100)
    factor = replace(NOMINAL.throughput_efficiency, value=0.8, sd=0.02)
    learnt = replace(NOMINAL, throughput_efficiency=factor, learnt=frozenset({"throughput_efficiency"}))
    measured = timed(llama_7b, LORA, BF16, a100, coefficients=learnt)
    assert measured.tokens_per_second.mid == pytest.approx(0.8 * nominal.tokens_per_second.mid)
    assert measured.sd < nominal.sd / 2


def test_the_interval_is_that_of_the_logarithm(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    speed = timed(llama_7b, LORA, BF16, a100)
    time, rate = speed.seconds_per_step, speed.tokens_per_second
    assert math.log(time.high / time.mid) == pytest.approx(1.645 * speed.sd) == math.log(time.mid / time.low)
    assert rate.mid * time.mid == pytest.approx(speed.tokens_per_step)
    assert rate.low * time.high == pytest.approx(speed.tokens_per_step)
    assert speed.sd >= EFFICIENCIES.training.sd


def test_the_sentence_is_the_computation(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    (products,) = (t for t in timed(llama_7b, LORA, BF16, a100).terms if t.label == "products with the weights")
    assert products.sentence == "325 TFLOP at 312 TFLOP/s x 0.8 (products with the weights)"
    assert products.seconds == products.work / (products.rate * products.efficiency)


def test_a_card_without_rates_has_no_speed(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    for missing in ({"bandwidth_gb_per_s": None}, {"fp16_tflops": None, "fp32_tflops": None}):
        assert training_speed(llama_7b, LORA, BF16, replace(a100, **missing), HABITS) is None


def test_every_card_of_the_catalogue_has_a_speed() -> None:
    model = find_model("llama-3.2-1b")
    for gpu in list_gpus():
        speed = timed(model, LORA, BF16, gpu)
        assert 0 < speed.tokens_per_second.low < speed.tokens_per_second.high < 1e6, gpu.id
