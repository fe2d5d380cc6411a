"""Twenty questions whose answers are known beforehand, each with the reason."""

from dataclasses import replace

import pytest

from vram_advisor.advice.advise import Desk
from vram_advisor.advice.levers import Setting, all_moves
from vram_advisor.domain.advice import Move
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.bytes import GIB


def desk(model: str, gpu: str, workload: Workload, plan: Plan) -> Desk:
    """A question about one card, with times that do not matter."""
    setting = Setting(resolve_model(model), workload, plan, resolved(workload, plan, recipe(plan.recipe)))
    return Desk(setting, device_from_spec(find_gpu(gpu)), NOMINAL, lambda *_: 1.0)


def saving(asked: Desk, lever: str, strongest: bool = True) -> float:
    """What one lever alone saves of the minimum to run [GiB]."""
    moves: list[Move] = [move for each in all_moves(asked.setting) for move in each if move.lever == lever]
    before = asked.apply(())
    assert before is not None
    needs = [applied.estimate.minimum_mean for move in moves if (applied := asked.apply((move,))) is not None]
    assert needs
    return (before.estimate.minimum_mean - (min(needs) if strongest else max(needs))) / GIB


LORA = Workload(method="lora", sequence_length=2048)
LONG = replace(LORA, sequence_length=8192)
FULL = Workload(method="full")
Q4 = Plan(quantization="nf4_double")
KEPT = Plan(gradient_checkpointing="none", quantization="bf16")


def test_a_vocabulary_of_128k_at_8k_tokens_makes_the_fused_loss_the_best_move_of_the_same_result() -> None:
    # 8,192 tokens x 128,256 words x 12 B are 11.7 GiB; nothing else of the step comes near.
    asked = desk("llama-3-8b", "rtx-5080", LONG, Q4)
    fused = saving(asked, "loss")
    assert fused > 8
    assert all(fused > saving(asked, lever) for lever in ("checkpointing", "optimizer", "expandable"))


def test_a_vocabulary_of_32k_gains_little_from_a_fused_loss() -> None:
    # 2,048 x 32,000 x 12 B are 0.73 GiB, and the layer at work takes half as much. Nothing was expected; it is half a
    # GiB, a sixth of what four times the vocabulary gains, a part of it by Liger's other kernels.
    small = saving(desk("llama-2-7b", "rtx-4090", LORA, Q4), "loss")
    assert small < 0.6
    assert small < saving(desk("llama-3-8b", "rtx-4090", LORA, Q4), "loss") / 5


def test_checkpointing_does_not_cure_a_model_whose_weights_alone_are_too_large() -> None:
    # 13B in 16 bits are 24.2 GiB; a 5070 has 11.6.
    asked = desk("llama-2-13b", "rtx-5070", LORA, replace(KEPT, quantization="bf16"))
    move = next(m for each in all_moves(asked.setting) for m in each if m.lever == "checkpointing")
    applied = asked.apply((move,))
    assert applied is not None and applied.verdict.outcome == "no"


def test_checkpointing_is_the_first_thing_to_do_where_activations_are_kept() -> None:
    # 32 layers keep some 300 MiB each at 2,048 tokens; checkpointing keeps 16 MiB of each.
    asked = desk("llama-2-7b", "rtx-4090", LORA, KEPT)
    assert saving(asked, "checkpointing", strongest=False) > 5
    assert saving(asked, "checkpointing") > saving(asked, "rank")


def test_rank_64_to_16_hardly_helps() -> None:
    # Rank 64 on all linear layers is 160 M parameters: 16 B each in fp32 with states, 2.4 GiB; the 48 ranks that go
    # are 1.8 GiB of more than 17.
    asked = desk("llama-2-7b", "rtx-4090", LORA, Plan(lora_r=64, quantization="bf16"))
    before = asked.apply(())
    assert before is not None
    move = next(m for each in all_moves(asked.setting) for m in each if m.title == "rank 64 → 16")
    applied = asked.apply((move,))
    assert applied is not None
    saved = before.estimate.minimum_mean - applied.estimate.minimum_mean
    assert 0 < saved < 0.12 * before.estimate.minimum_mean


def test_rank_16_to_8_saves_less_than_a_quarter_gibibyte_on_a_7b() -> None:
    # 20 M parameters go, 12 to 16 B each.
    asked = desk("llama-2-7b", "rtx-5080", LORA, Q4)
    assert 0 < saving(asked, "rank") < 0.35


def test_four_bits_save_what_the_arithmetic_says() -> None:
    # 6.48 G weights in linear layers from 16 to 4.13 bits: 8.96 GiB.
    assert saving(desk("llama-2-7b", "rtx-4090", LORA, Plan(quantization="bf16")), "quantization") == pytest.approx(
        8.96, abs=0.25
    )


def test_eight_bit_states_do_next_to_nothing_for_an_adapter() -> None:
    # 40 M parameters: 8 B of states become 2.
    assert saving(desk("llama-2-7b", "rtx-5080", LORA, Q4), "states") < 0.35


def test_eight_bit_states_are_worth_most_of_the_states_in_a_full_fine_tune() -> None:
    # bf16 weights: two moments of 2 B each for 6.74 G parameters become one byte each: 12.5 GiB.
    asked = desk("llama-2-7b", "h100-sxm", FULL, Plan(weights_dtype="bf16", mixed_precision="none"))
    assert saving(asked, "states") > 10


def test_pure_bf16_halves_a_mixed_precision_full_fine_tune() -> None:
    asked = desk("llama-2-7b", "h100-sxm", FULL, Plan(weights_dtype="fp32", mixed_precision="bf16"))
    before = asked.apply(())
    assert before is not None
    assert saving(asked, "precision") * GIB > 0.4 * before.estimate.minimum_mean


def test_a_smaller_batch_saves_activations_and_not_weights() -> None:
    # Batch 8 to 1 at 2,048 tokens: seven eighths of what grows with tokens, none of the 3.7 GiB of 4-bit weights.
    asked = desk("llama-2-7b", "rtx-4090", replace(LORA, micro_batch_size=8), Q4)
    before = asked.apply(())
    assert before is not None
    left = before.estimate.minimum_mean / GIB - saving(asked, "batch")
    assert 4.5 < left < 8


def test_a_batch_of_one_has_no_smaller_batch() -> None:
    levers = {m.lever for each in all_moves(desk("7b", "rtx-5070", LORA, Q4).setting) for m in each}
    assert "batch" not in levers


def test_a_fused_optimizer_saves_one_copy_of_what_is_trained() -> None:
    # foreach AdamW takes one more copy of all second moments: 12.55 GiB for 6.74 G parameters in bf16, where the
    # optimizer step is the peak.
    plan = Plan(weights_dtype="bf16", mixed_precision="none", optimizer="adamw_torch")
    assert saving(desk("llama-2-7b", "h100-sxm", FULL, plan), "optimizer") > 9


def test_a_fused_optimizer_does_nothing_for_an_adapter_whose_peak_is_the_loss() -> None:
    plan = replace(Q4, optimizer="adamw_torch")
    asked = desk("llama-3.1-8b", "rtx-5080", LONG, plan)
    fused = next(m for each in all_moves(asked.setting) for m in each if m.title == "fused AdamW")
    before, applied = asked.apply(()), asked.apply((fused,))
    assert before is not None and applied is not None
    assert before.estimate.minimum_mean == applied.estimate.minimum_mean


def test_attention_written_out_is_the_first_thing_to_leave_at_8k_tokens() -> None:
    # One layer's probabilities alone: 32 heads x 8,192 x 8,192 x 6 B are 12 GiB.
    asked = desk("llama-2-7b", "h100-sxm", LONG, replace(Q4, attn_implementation="eager"))
    assert saving(asked, "attention") > 10


def test_half_the_length_halves_what_grows_with_tokens() -> None:
    asked = desk("llama-3.1-8b", "h100-sxm", LONG, Q4)
    move = next(m for each in all_moves(asked.setting) for m in each if m.title == "sequences of 4,096 tokens")
    before, applied = asked.apply(()), asked.apply((move,))
    assert before is not None and applied is not None
    saved = before.estimate.peak.allocated_bytes.mid - applied.estimate.peak.allocated_bytes.mid
    grows = before.estimate.peak.allocated_bytes.mid - 5.7 * GIB
    assert 0.4 * grows < saved < 0.6 * grows


def test_adapters_on_two_projections_save_activations_where_they_are_kept() -> None:
    # fp32 adapters keep an fp32 copy of the input of every target: seven targets against two.
    assert saving(desk("llama-2-7b", "rtx-4090", LORA, KEPT), "targets") > 2


def test_lora_instead_of_a_full_fine_tune_saves_gradients_and_states() -> None:
    # bf16: 2 B of gradients and 4 B of moments for 6.74 G parameters, 37.7 GiB.
    asked = desk("llama-2-7b", "rtx-4090", FULL, Plan(weights_dtype="bf16", mixed_precision="none"))
    assert 30 < saving(asked, "method", strongest=False) < 42


def test_a_shorter_context_saves_the_cache_of_a_model_without_grouped_heads() -> None:
    # Llama-2-7B: 32 layers x 2 x 4,096 x 2 B are 0.5 MiB per token: 2,048 tokens less are 1 GiB.
    plan = Plan(runtime="transformers", quantization="bf16")
    workload = Workload(method="inference", context_length=4096)
    from vram_advisor.memory.session import resolved_inference

    setting = Setting(resolve_model("llama-2-7b"), workload, plan, resolved_inference(plan))
    asked = Desk(setting, device_from_spec(find_gpu("rtx-4090")), NOMINAL, lambda *_: 1.0)
    move = next(m for each in all_moves(setting) for m in each if m.title == "a context of 2,048 tokens")
    before, applied = asked.apply(()), asked.apply((move,))
    assert before is not None and applied is not None
    assert (before.estimate.minimum_mean - applied.estimate.minimum_mean) / GIB == pytest.approx(1.0, abs=0.4)


def test_what_is_on_the_processor_is_not_on_the_card() -> None:
    # Two fp32 moments of 6.74 G parameters: 50.2 GiB leave a mixed-precision fine-tune.
    asked = desk("llama-2-7b", "h100-sxm", FULL, Plan(weights_dtype="fp32", mixed_precision="bf16"))
    assert saving(asked, "offload") > 30
