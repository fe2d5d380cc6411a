"""Operations and bytes of one token, against what is known of published models."""

import pytest

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import quantization
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.throughput.stored import stored
from vram_advisor.throughput.work import (
    adapted,
    attention_flops,
    cached_elements,
    head_pairs,
    touched,
    work,
)


def test_weights_of_llama_2_7b(llama_7b: ModelSpec) -> None:
    counts = work(llama_7b)
    assert counts.linear == counts.stored == 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert counts.head == 32000 * 4096


def test_a_token_passes_two_of_eight_experts(mixtral: ModelSpec) -> None:
    counts = work(mixtral)
    expert = 3 * 4096 * 14336
    assert counts.experts == 32 * 8 * expert
    assert counts.stored - counts.linear == 32 * 6 * expert
    # 12.9 of 46.7 B parameters are active, embeddings included (Mixtral of Experts, arXiv 2401.04088).
    assert counts.linear + 2 * counts.head == pytest.approx(12.9e9, rel=0.01)


def test_attention_is_quadratic_in_a_sequence(llama_7b: ModelSpec) -> None:
    counts = work(llama_7b)
    # 4 x layers x width x length, halved by the causal mask.
    assert attention_flops(counts, 2048) == 4 * 32 * 4096 * 2048 / 2
    assert attention_flops(counts, 4096) * 4096 == 4 * attention_flops(counts, 2048) * 2048


def test_a_window_ends_the_growth() -> None:
    counts = work(find_model("mistral-7b-v0.1"))
    # Mistral 7B: 4,096 tokens of window in every layer. The mean over a sequence s is w - w^2 / 2s.
    assert attention_flops(counts, 4096) == 4 * 32 * 4096 * 2048
    assert attention_flops(counts, 8192) == 4 * 32 * 4096 * 3072
    assert cached_elements(counts, 100_000) == cached_elements(counts, 4096)


def test_an_encoder_sees_the_whole_sequence() -> None:
    counts = work(find_model("bert-large-uncased"))
    assert attention_flops(counts, 512) == 4 * 24 * 1024 * 512


def test_attention_written_out_masks_nothing_away(llama_7b: ModelSpec) -> None:
    assert head_pairs(work(llama_7b), 2048) == 32 * 32 * 2048


def test_many_tokens_touch_every_expert(mixtral: ModelSpec, llama_7b: ModelSpec) -> None:
    assert touched(mixtral, 1) == pytest.approx(0.25)
    assert touched(mixtral, 2) == pytest.approx(1 - 0.75**2)
    assert touched(mixtral, 1000) == pytest.approx(1)
    assert touched(llama_7b, 1) == 1


def test_adapters_are_counted_by_name_and_as_all_linear(llama_7b: ModelSpec) -> None:
    two = adapted(llama_7b, ("q_proj", "v_proj"), ())
    assert (two.modules, two.width) == (64, 64 * 8192)
    # Rank 8 on q and v of Llama 2 7B trains 4,194,304 parameters (peft print_trainable_parameters).
    assert 8 * two.width == 4_194_304
    everything = adapted(llama_7b, ("all-linear",), ("lm_head",))
    assert everything.modules == 7 * 32
    assert 16 * everything.width == 39_976_960
    assert everything.saved == 32000 * 4096


def test_a_token_reads_no_table_of_embeddings(llama_7b: ModelSpec) -> None:
    weights = stored(llama_7b, quantization("bf16"))
    assert weights.dense == 2 * (6_738_415_616 - 32000 * 4096)
    assert weights.experts == 0


def test_experts_that_stay_in_16_bits_are_read_in_16_bits(mixtral: ModelSpec) -> None:
    stacks, linear = (stored(mixtral, quantization("nf4"), linear_experts=each) for each in (False, True))
    assert stacks.experts == stored(mixtral, quantization("bf16")).experts
    assert linear.experts == pytest.approx(stacks.experts * 4.5 / 16, rel=0.01)
