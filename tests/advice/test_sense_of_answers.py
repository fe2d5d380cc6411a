"""Questions that people ask, with what a person who knows the field would answer, and why: written before looking.

``test_sense`` asks what single levers save; this file asks for whole answers.
"""

from typing import Any

import pytest

from vram_advisor import api
from vram_advisor.advice.levers import INFERENCE, TRAINING
from vram_advisor.domain.advice import Advice
from vram_advisor.units.bytes import GIB


def advices(model: str, gpu: str, **choices: Any) -> tuple[Advice, ...]:
    """What is advised where the plan does not fit as it is asked."""
    answer = api.advise(model, gpu=gpu, **choices)
    assert answer.asked.verdict.outcome == "no"
    return answer.advices


def levers(advice: Advice) -> set[str]:
    return {move.lever for move in advice.moves}


def need(model: str, gpu: str, **choices: Any) -> float:
    """What one plan needs [GiB]."""
    (option,) = api.check(model, gpu=gpu, **choices).options
    return option.estimate.minimum_mean / GIB


def saved(model: str, gpu: str, change: dict[str, Any], **choices: Any) -> float:
    """What a change saves [GiB]."""
    return need(model, gpu, **choices) - need(model, gpu, **choices | change)


# Fine-tunes


def test_a_full_fine_tune_of_7b_on_24_gb_becomes_an_adapter() -> None:
    # Weights and gradients in bf16 are 25.1 GiB before any state of the optimizer: no way of training all of them fits.
    # An adapter beside 12.6 GiB of weights does, and nothing else is needed.
    first, *_ = advices("llama-2-7b", "rtx-4090", method="full")
    assert levers(first) == {"method"}
    assert all("method" in levers(advice) for advice in advices("llama-2-7b", "rtx-4090", method="full"))


def test_a_full_fine_tune_of_1b_on_12_gb_stays_one() -> None:
    # 1.24 G parameters: 8 B each in pure bf16 are 9.2 GiB, 6 B with 8-bit states 6.9 GiB; the card has 11.7.
    found = advices("llama-3.2-1b", "rtx-5070", method="full")
    assert found[0].tier != "another"


def test_all_weights_of_70b_on_eight_h100_are_shared_out() -> None:
    # 70.6 G parameters in bf16 are 131 GiB: no card of 80 GB holds a copy, whatever else is done.
    found = advices("llama-3.1-70b", "h100-sxm", method="full", num_gpus=8)
    assert found
    for advice in found:
        assert "sharding" in levers(advice) or advice.plan.sharding == "fsdp_full" or advice.tier == "another"
    assert any(advice.plan.sharding == "fsdp_full" and advice.workload.method == "full" for advice in found)


def test_no_lever_of_training_helps_where_4_bit_weights_are_too_many() -> None:
    # 70.6 G parameters in 4 bits are more than 35 GiB; the card has 23.6.
    found = advices("llama-3.1-70b", "rtx-4090", method="qlora")
    assert all(advice.tier == "another" for advice in found)


def test_a_batch_that_is_too_large_is_accumulated_before_the_model_is_touched() -> None:
    # Eight sequences keep 32 x 16 MiB of layer inputs each, and eight times the logits; one keeps an eighth, for the same
    # result. Weights in bf16 are 12.6 of 23.6 GiB and need no fewer bits.
    asked = {"method": "lora", "quantization": "bf16", "micro_batch_size": 32}
    first, *_ = advices("llama-2-7b", "rtx-4090", **asked)
    assert first.tier == "same result"
    assert levers(first) <= {"batch", "loss", "checkpointing"}


def test_the_larger_the_vocabulary_the_more_a_fused_loss_saves() -> None:
    # Logits of 4,096 tokens: 32,000, 128,256, 152,064 and 256,000 words.
    ask: dict[str, Any] = {"method": "lora", "quantization": "nf4_double", "sequence_length": 4096}
    gains = [
        saved(model, "a100-sxm4-80gb", {"loss": "liger"}, **ask)
        for model in ("llama-2-7b", "llama-3.1-8b", "qwen2.5-7b", "gemma-2-9b")
    ]
    assert gains == sorted(gains)
    assert gains[3] > 1.5 * gains[1]


def test_four_bits_of_a_mixture_leave_its_experts_as_they_are() -> None:
    # transformers 5 stacks experts in one parameter, and bitsandbytes quantises linear layers: of 30.5 G parameters 29 G
    # are experts, so less than a tenth of 56.9 GiB goes.
    ask: dict[str, Any] = {"method": "lora", "quantization": "bf16"}
    change = {"method": "qlora", "quantization": "nf4_double"}
    assert 0 < saved("qwen3-30b-a3b", "h100-sxm", change, **ask) < 5.7


def test_adapters_on_every_expert_are_what_to_take_away_first() -> None:
    # Nothing was expected of the rank, as PEFT used to leave stacked experts without adapters. It gives them some by now:
    # 128 experts x 48 layers x 16 x (2,048 + 1,536 + 768 + 2,048) numbers are 629 M parameters at 12 to 16 B, half of
    # them 3.5 GiB at least. Those on the attention are 13.4 M, a fortieth.
    ask: dict[str, Any] = {"method": "lora", "quantization": "bf16"}
    rank = saved("qwen3-30b-a3b", "h100-sxm", {"lora_r": 8}, **ask)
    attention = ("q_proj", "k_proj", "v_proj", "o_proj")
    targets = saved("qwen3-30b-a3b", "h100-sxm", {"target_modules": attention}, **ask)
    assert targets > rank > 3.5
    ask |= {"target_modules": attention}
    assert 0 <= saved("qwen3-30b-a3b", "h100-sxm", {"lora_r": 8}, **ask) < 0.2


def test_states_that_leave_the_card_need_the_memory_of_the_computer() -> None:
    # Two moments in fp32 of 6.74 G parameters are 50.2 GiB.
    ask: dict[str, Any] = {"method": "full", "weights_dtype": "fp32", "mixed_precision": "bf16", "offload": "optimizer"}
    option = api.check("llama-2-7b", gpu="h100-sxm", **ask).options[0]
    assert option.estimate.host_bytes > 50 * GIB
    away = [row for row in (*TRAINING, *INFERENCE) if row.name in ("offload", "experts", "layers")]
    assert len(away) == 3
    assert all("system memory" in row.needs for row in away)


def test_states_of_eight_cards_are_paged_into_one_computer() -> None:
    # Two moments in fp32 of 70.6 G parameters are 526 GiB, whoever of the eight owns them.
    ask: dict[str, Any] = {"method": "full", "num_gpus": 8, "sharding": "fsdp_full", "optimizer": "paged_adamw_32bit"}
    option = api.check("llama-3.1-70b", gpu="h100-sxm", mixed_precision="bf16", weights_dtype="fp32", **ask).options[0]
    assert option.estimate.host_bytes / GIB == pytest.approx(526, abs=2)


def test_flash_attention_2_is_refused_by_name_on_a_card_before_ampere() -> None:
    # FlashAttention 2 needs compute capability 8.0; a T4 has 7.5.
    answer = api.advise("llama-2-7b", gpu="t4", method="qlora", attn_implementation="flash_attention_2")
    assert any("flash_attention_2 does not run" in note for note in answer.notes)


def test_attention_written_out_costs_little_at_short_lengths() -> None:
    # 32 heads x 512 x 512 scores are 8.4 M numbers: 100 MiB at 12 B, and one layer at a time under checkpointing.
    ask: dict[str, Any] = {"method": "qlora", "quantization": "nf4_double", "sequence_length": 512}
    change = {"attn_implementation": "sdpa"}
    assert saved("llama-2-7b", "rtx-4090", change, attn_implementation="eager", **ask) < 0.2


# Inference


@pytest.mark.parametrize(("model", "gpu"), [
    ("gpt-oss-120b", "rtx-4090"), ("gpt-oss-120b", "rtx-5070"), ("qwen3-235b-a22b", "rtx-4090"),
    ("mixtral-8x7b", "rtx-4090"), ("deepseek-v3", "rtx-4090"),
])  # fmt: skip
def test_experts_leave_the_card_before_layers(model: str, gpu: str) -> None:
    # A token reads a few experts of each layer, but all of its attention: the same bytes of experts cost a fraction.
    quantization = None if model.startswith("gpt-oss") else "q4"
    for advice in advices(model, gpu, quantization=quantization):
        assert "layers" not in levers(advice)
        assert "experts" in levers(advice) or advice.tier == "another"


def test_the_smallest_change_is_no_list_of_two_where_one_will_do() -> None:
    # With every expert in system memory DeepSeek-V3 needs 13 of 23.6 GiB: a shorter context beside that is not needed.
    first, *_ = advices("deepseek-v3", "rtx-4090", quantization="q4")
    assert "smallest change" in first.reasons
    assert levers(first) == {"experts"}


def test_a_dense_model_leaves_layers() -> None:
    # 42.5 GB of weights; there are no experts.
    found = advices("llama-3.1-70b", "rtx-4090", quantization="q4")
    assert any("layers" in levers(advice) for advice in found)


def test_ollama_leaves_layers_even_of_a_mixture() -> None:
    # Its Modelfile has num_gpu, and nothing that names experts.
    for advice in advices("gpt-oss-120b", "rtx-4090", runtime="ollama"):
        assert "experts" not in levers(advice)
    assert any("layers" in levers(advice) for advice in advices("gpt-oss-120b", "rtx-4090", runtime="ollama"))


def test_a_long_context_quantises_its_cache_before_layers_leave_the_card() -> None:
    # 131,072 tokens x 128 KiB are 16 GiB in f16 and 8.5 in q8_0; with 4.6 GiB of weights a card of 15.5 GiB has room for
    # the second. Layers on the processor would cost a multiple of the time.
    found = advices("llama-3.1-8b", "rtx-5080", quantization="q4", context_length=131072)
    fastest = next(advice for advice in found if "fastest" in advice.reasons)
    assert "cache" in levers(fastest)
    assert "layers" not in levers(fastest)


def test_vllm_may_take_more_of_a_card_before_anything_is_rounded() -> None:
    # 15 GiB of weights and 40,960 x 128 KiB of cache, 5 GiB, are with 1.6 GiB of the rest more than 90 % of 23.6 GiB, and
    # less than 95 %. Nothing else has to run on the card.
    ask: dict[str, Any] = {"runtime": "vllm", "quantization": "bf16", "context_length": 40960}
    first, *_ = advices("llama-3.1-8b", "rtx-4090", **ask)
    assert levers(first) == {"share"}


def test_a_cache_in_8_bits_saves_little_where_most_layers_have_a_window() -> None:
    # At 32,768 tokens: mistral-nemo-12b keeps 160 KiB per token, 5 GiB; gemma-3-12b keeps 64 KiB of 8 global layers,
    # 2 GiB, and a window of 1,024 in the other 40; gpt-oss-20b 24 KiB of 12 layers, 0.75 GiB.
    change = {"cache_type_k": "q8_0", "cache_type_v": "q8_0"}
    nemo, gemma, oss = (
        saved(model, "h100-sxm", change, quantization=quantization, context_length=32768, n_parallel=1)
        for model, quantization in (("mistral-nemo-12b", "q4"), ("gemma-3-12b", "q4"), ("gpt-oss-20b", "mxfp4"))
    )
    assert nemo > 2
    assert gemma < 0.6 * nemo
    assert oss < 0.2 * nemo


def test_a_quarter_of_the_heads_is_a_quarter_of_what_a_smaller_cache_saves() -> None:
    # Llama-2-7B keeps 32 heads of keys and values, Mistral 7B 8, in as many layers of the same width.
    change = {"cache_type_k": "q8_0", "cache_type_v": "q8_0"}
    every, grouped = (
        saved(model, "h100-sxm", change, quantization="q4", context_length=4096)
        for model in ("llama-2-7b", "mistral-7b-v0.1")
    )
    assert every == pytest.approx(4 * grouped, rel=0.1)


def test_latent_attention_gains_little_from_a_smaller_cache() -> None:
    # DeepSeek-V2-Lite keeps 576 numbers per layer and token: 27 layers x 576 x 2 B x 32,768 tokens are 0.95 GiB.
    change = {"cache_type_k": "q8_0", "cache_type_v": "q8_0"}
    assert saved("deepseek-v2-lite", "h100-sxm", change, quantization="q4", context_length=32768) < 0.6
