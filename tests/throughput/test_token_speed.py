"""Laws of generating and of reading prompts."""

from dataclasses import replace

import numpy as np
import pytest

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.throughput import Speed
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.throughput.decode import Runtime, decode_speed
from vram_advisor.throughput.prefill import prefill_speed
from vram_advisor.throughput.stored import Stored, stored, stored_gguf

BF16, NF4 = quantization("bf16"), quantization("nf4_double")


def generated(model: ModelSpec, gpu: GpuSpec, weights: Stored, runtime: Runtime = "llama.cpp", **more: object) -> Speed:
    found = decode_speed(model, gpu, weights, runtime, **{"context": 512, **more})  # type: ignore[arg-type]
    assert found is not None
    return found


def prompted(model: ModelSpec, gpu: GpuSpec, weights: Stored, runtime: Runtime = "llama.cpp", **more: object) -> Speed:
    found = prefill_speed(model, gpu, weights, runtime, **{"prompt": 2048, **more})  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_token_reads_the_weights_once(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    speed = generated(llama_7b, rtx_4090, weights)
    (read,) = (term for term in speed.terms if term.label == "weights")
    assert read.work == weights.dense
    assert speed.limit == "bandwidth"
    ceiling = rtx_4090.bandwidth_gb_per_s * 1e9 / weights.dense  # type: ignore[operator]
    assert 0.7 * ceiling < speed.tokens_per_second.mid < ceiling


def test_keys_and_values_slow_long_contexts_until_the_window(rtx_4090: GpuSpec) -> None:
    whole, windowed = find_model("llama-3.1-8b"), find_model("mistral-7b-v0.1")
    for model, grows in ((whole, True), (windowed, False)):
        near, far = (generated(model, rtx_4090, stored(model, BF16), context=n) for n in (4096, 65536))
        assert (far.seconds_per_step.mid > 1.2 * near.seconds_per_step.mid) is grows
    # 2 x 32 layers x 8 heads x 128 x 2 B = 128 KiB per token.
    (cache,) = (t for t in generated(whole, rtx_4090, stored(whole, BF16)).terms if t.label == "keys and values")
    assert cache.work == 512 * 128 * 1024


def test_a_smaller_cache_type_is_read_faster(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, NF4)
    f16, q8 = (generated(llama_7b, rtx_4090, weights, context=32768, cache_itemsize=b) for b in (2.0, 34 / 32))
    assert q8.tokens_per_second.mid > 1.2 * f16.tokens_per_second.mid


def test_sequences_share_the_weights_until_arithmetic_decides(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    speeds = [generated(llama_7b, a100, weights, "vllm", sequences=n, context=64) for n in (1, 8, 2048)]
    assert 6 < speeds[1].tokens_per_second.mid / speeds[0].tokens_per_second.mid < 8
    assert [speed.limit for speed in speeds] == ["bandwidth", "bandwidth", "compute"]


def test_sequences_of_a_mixture_read_more_experts(mixtral: ModelSpec, a100: GpuSpec) -> None:
    weights = stored(mixtral, BF16)
    read = [
        next(
            float(t.work) for t in generated(mixtral, a100, weights, "vllm", sequences=n).terms if t.label == "weights"
        )
        for n in (1, 2, 64)
    ]
    assert read[0] == pytest.approx(weights.dense + weights.experts / 4)
    assert read[1] == pytest.approx(weights.dense + weights.experts * (1 - 0.75**2))
    assert read[2] == pytest.approx(weights.dense + weights.experts, rel=1e-6)


def test_transformers_waits_for_python_on_a_fast_card(llama_7b: ModelSpec) -> None:
    h100 = find_gpu("h100-sxm5-80-gb")
    weights = stored(llama_7b, BF16)
    eager, served = (generated(llama_7b, h100, weights, runtime) for runtime in ("transformers", "vllm"))  # type: ignore[arg-type]
    assert eager.limit == "launch"
    assert served.tokens_per_second.mid > 3 * eager.tokens_per_second.mid
    packed = generated(llama_7b, h100, stored(llama_7b, NF4), "transformers")
    assert packed.tokens_per_second.mid < eager.tokens_per_second.mid


def test_layers_on_the_processor_cost_the_memory_of_the_computer(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored_gguf(gguf_tensors(llama_7b, "Q4_K_M"))
    shares = [generated(llama_7b, rtx_4090, weights, host_bytes=share * weights.dense) for share in (0, 0.1, 0.5, 1)]
    rates = [speed.tokens_per_second.mid for speed in shares]
    assert rates == sorted(rates, reverse=True)
    assert [speed.limit for speed in shares] == ["bandwidth", "host", "host", "host"]
    assert shares[1].notes
    faster = generated(llama_7b, rtx_4090, weights, host_bytes=weights.dense, host_gb_per_s=400)
    assert faster.tokens_per_second.mid > 3 * rates[3]


def test_a_byte_of_experts_costs_less_on_the_processor_than_one_that_every_token_passes(
    mixtral: ModelSpec, rtx_4090: GpuSpec
) -> None:
    weights = stored_gguf(gguf_tensors(mixtral, "Q4_K_M"))
    dense, experts = (
        generated(mixtral, rtx_4090, weights, **{name: weights.dense}) for name in ("host_bytes", "host_experts_bytes")
    )
    read = [float(next(t.work for t in speed.terms if t.resource == "host")) for speed in (dense, experts)]
    # Two experts of eight are read.
    assert read == pytest.approx([weights.dense, weights.dense / 4])
    assert experts.tokens_per_second.mid > 1.5 * dense.tokens_per_second.mid


def test_the_file_of_a_tied_model_is_read_with_its_embedding() -> None:
    tied, untied = find_model("llama-3.2-1b"), find_model("llama-2-7b")
    for model in (tied, untied):
        listed = gguf_tensors(model, "Q4_K_M")
        whole = sum(tensor.nbytes for tensor in listed)
        table = sum(tensor.nbytes for tensor in listed if tensor.name == "token_embd.weight")
        assert stored_gguf(listed).dense == (whole if model.tie_word_embeddings else whole - table)


def test_the_file_of_a_mixture_has_its_experts_apart(mixtral: ModelSpec) -> None:
    weights = stored_gguf(gguf_tensors(mixtral, "Q4_K_M"))
    assert weights.in_blocks
    assert weights.experts / (weights.dense + weights.experts) == pytest.approx(45.1 / 46.6, rel=0.02)


def test_whole_layers_on_several_cards_do_not_make_a_token_faster(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    one, four = (generated(llama_7b, rtx_4090, weights, gpus=n) for n in (1, 4))
    assert 0.9 < four.tokens_per_second.mid / one.tokens_per_second.mid < 1
    split = generated(llama_7b, rtx_4090, weights, "vllm", gpus=4)
    assert split.tokens_per_second.mid > 2 * one.tokens_per_second.mid


def test_a_prompt_is_bound_by_arithmetic_and_a_short_one_by_reading(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    long, short = (prompted(llama_7b, rtx_4090, weights, prompt=n) for n in (2048, 4))
    assert (long.limit, short.limit) == ("compute", "bandwidth")
    assert long.tokens_per_second.mid > 20 * short.tokens_per_second.mid


def test_very_long_prompts_slow_down_by_attention(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    rates = [prompted(llama_7b, a100, weights, prompt=n).tokens_per_second.mid for n in (8192, 32768, 131072)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] < rates[0] / 2


def test_pieces_of_a_prompt_pass_several_cards_like_a_pipeline(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    for prompt, least, most in ((512, 0.9, 1.01), (1024, 1.2, 1.34), (8192, 1.7, 1.9)):
        one, two = (prompted(llama_7b, rtx_4090, weights, prompt=prompt, gpus=n) for n in (1, 2))
        assert least < two.tokens_per_second.mid / one.tokens_per_second.mid < most


def test_weights_on_the_host_are_copied_for_every_piece(llama_7b: ModelSpec, rtx_4090: GpuSpec) -> None:
    weights = stored(llama_7b, BF16)
    here = prompted(llama_7b, rtx_4090, weights)
    away = prompted(llama_7b, rtx_4090, weights, host_bytes=weights.dense)
    assert away.limit == "pcie"
    assert away.tokens_per_second.mid < here.tokens_per_second.mid / 3


@pytest.mark.parametrize("runtime", ["llama.cpp", "vllm", "transformers", "fused"])
def test_grids_equal_single_answers(mixtral: ModelSpec, a100: GpuSpec, runtime: Runtime) -> None:
    weights = stored(mixtral, NF4)
    lengths, sequences = np.array([100, 3000, 40000])[None, :], np.array([1, 7])[:, None]
    tokens = generated(mixtral, a100, weights, runtime, context=lengths, sequences=sequences)
    prompts = prompted(mixtral, a100, weights, runtime, prompt=lengths, sequences=sequences)
    for j, length in enumerate(lengths[0]):
        for i, n in enumerate(sequences[:, 0]):
            one = generated(mixtral, a100, weights, runtime, context=int(length), sequences=int(n))
            assert tokens.tokens_per_second.low[i, j] == pytest.approx(one.tokens_per_second.low, rel=1e-12)
            read = prompted(mixtral, a100, weights, runtime, prompt=int(length), sequences=int(n))
            assert prompts.tokens_per_second.low[i, j] == pytest.approx(read.tokens_per_second.low, rel=1e-12)


def test_a_card_without_rates_has_no_speed(llama_7b: ModelSpec, a100: GpuSpec) -> None:
    unknown = replace(a100, bandwidth_gb_per_s=None)
    weights = stored(llama_7b, BF16)
    assert decode_speed(llama_7b, unknown, weights, "vllm", context=1) is None
    assert prefill_speed(llama_7b, unknown, weights, "vllm", prompt=1) is None
