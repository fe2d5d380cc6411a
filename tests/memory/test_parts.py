"""Weights, adapters, optimizer state: counted by hand from the sources."""

from fractions import Fraction

import pytest

from vram_advisor.domain.optimizer import OPTIMIZERS, optimizer
from vram_advisor.domain.quantization import QUANTIZATIONS, quantization
from vram_advisor.memory.optimizer_state import optimizer_bytes, state_of
from vram_advisor.memory.trained import Trained, adapter_tensors, saved_modules
from vram_advisor.memory.weights import weight_bytes
from vram_advisor.sources.catalog_models import find_model

LLAMA = find_model("llama-3.1-8b")


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("bf16", 16),
        ("int8", 8),
        ("nf4", 4.5),
        ("nf4_double", 4.127),
        ("gptq_int4", 4.16),
        ("hqq_int4", 4.5),
        ("mxfp4", 4.25),
    ],
)
def test_bits_per_weight_of_a_large_matrix(name: str, bits: float) -> None:
    n = 4096 * 14336
    assert 8 * quantization(name).weight_bytes(4096, 14336) / n == pytest.approx(bits, rel=0.003)


def test_nf4_of_one_matrix_is_counted_from_its_parts() -> None:
    """n/2 packed, n/64 one-byte scales, 4 B per 256 of them, tables of 16, 256 and 1 numbers."""
    n = 4096 * 4096
    assert quantization("nf4_double").weight_bytes(4096, 4096) == n // 2 + n // 64 + 4 * (n // 64 // 256) + 4 * 273


def test_embeddings_and_output_layer_are_not_quantised() -> None:
    parts = weight_bytes(LLAMA, quantization("nf4_double"))
    assert parts.embeddings == 2 * 2 * 128256 * 4096
    assert weight_bytes(LLAMA, quantization("nf4_double"), 4).embeddings == 2 * parts.embeddings


def test_lora_of_llama_31_8b_rank_16_has_42_million_parameters() -> None:
    found = adapter_tensors(LLAMA, 16, frozenset({"all-linear"}), 4)
    assert sum(t.numel for t in found) == 41_943_040
    queries = adapter_tensors(LLAMA, 8, frozenset({"q_proj", "v_proj"}), 2)
    assert sum(t.numel for t in queries) == 3_407_872


def test_modules_to_save_are_copies_of_the_module() -> None:
    copy, head = saved_modules(LLAMA, ("embed_tokens", "lm_head"), 2)
    assert copy.numel == head.numel == 128256 * 4096


def test_adamw_keeps_two_moments_and_foreach_a_copy() -> None:
    weights = (Trained("w", (100, 200), 3, 2),)
    assert optimizer_bytes(optimizer("adamw_torch_fused"), weights).state == 2 * 2 * 60000
    assert optimizer_bytes(optimizer("adamw_torch_fused"), weights).temporary == 0
    assert optimizer_bytes(optimizer("adamw_torch"), weights).temporary == 2 * 60000


def test_eight_bit_states_spare_small_tensors() -> None:
    row = optimizer("adamw_bnb_8bit")
    assert state_of(row, Trained("small", (4095,), 1, 2)) == 2 * 4 * 4095
    large = state_of(row, Trained("large", (4096, 256), 1, 2))
    assert Fraction(large, 4096 * 256) == 2 + Fraction(8, 256)


def test_small_tensors_are_not_paged() -> None:
    """Rank-16 attention adapters of a 4096-wide model have 65,536 elements: below the limit of 100,000."""
    found = optimizer_bytes(
        optimizer("paged_adamw_32bit"), adapter_tensors(LLAMA, 16, frozenset({"q_proj", "down_proj"}), 4)
    )
    assert found.paged and found.state
    q_proj_and_short_sides = sum(
        2 * 4 * t.numel for t in adapter_tensors(LLAMA, 16, frozenset({"q_proj", "down_proj"}), 4) if t.each < 100_000
    )
    assert found.state == q_proj_and_short_sides


def test_every_row_says_what_its_evidence_is() -> None:
    for row in [*OPTIMIZERS.values(), *QUANTIZATIONS.values()]:
        assert row.evidence in ("traced", "measured", "read in source")
        assert row.source


def test_low_rank_states_are_smaller_than_full_ones() -> None:
    weights = (Trained("w", (4096, 4096), 1, 2),)
    full = optimizer_bytes(optimizer("adamw_torch"), weights).state
    assert optimizer_bytes(optimizer("galore_adamw"), weights).state < full / 5
    assert optimizer_bytes(optimizer("adafactor"), weights).state == 4 * 8192


def test_scales_of_paged_states_stay_on_the_gpu() -> None:
    """bitsandbytes pages the states of 100,000 elements and more, 1 B each; their two fp32 scales per 256 are ordinary
    tensors. Adapters of stacked experts are one tensor for all experts of a layer, however small each is."""
    paged = optimizer_bytes(optimizer("paged_adamw_8bit"), (Trained("large", (4096, 256), 3, 2),))
    assert (paged.state, paged.paged) == (3 * 2 * 4 * 4096, 3 * 2 * 4096 * 256)
    olmoe = find_model("olmoe-1b-7b")
    stacks = [t for t in adapter_tensors(olmoe, 16, frozenset({"gate_proj", "up_proj"}), 4) if "lora_A" in t.label]
    assert [(t.shape, t.count) for t in stacks] == [((64 * 2 * 16, 2048), 16)]
    assert optimizer_bytes(optimizer("paged_adamw_32bit"), tuple(stacks)).state == 0


def test_all_linear_reaches_the_stacked_experts_of_kimi_k25() -> None:
    """60 layers of 384 experts: gate and up are one parameter with twice the rank, down another."""
    found = adapter_tensors(find_model("kimi-k2.5"), 16, frozenset({"all-linear"}), 4)
    stacked = [t for t in found if t.label.startswith(("gate_up_proj", "down_proj")) and t.count == 60]
    assert sum(t.numel for t in stacked) == 60 * 384 * (32 * (7168 + 2 * 2048) + 16 * (2048 + 7168))
