"""A training step: worked examples from sources, and laws."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import BadInput, NotModelled

LLAMA = find_model("llama-3.1-8b")


def run(
    model: ModelSpec = LLAMA, method: str = "lora", stack: str = "transformers-peft", **choices: object
) -> Estimate:
    ask = {k: v for k, v in choices.items() if k in vars(Workload())}
    levers = {k: v for k, v in choices.items() if k in vars(Plan())}
    workload = Workload(**{"method": method, **ask})
    return estimate_training(model, workload, Plan(**levers), recipe(stack))


def allocated(**choices: object) -> int:
    return run(**choices).peak.allocated_bytes.mid  # type: ignore[arg-type]


def test_qlora_of_llama_31_8b_is_what_a_card_measured() -> None:
    """9,947,2xx,xxx B on an RTX 5090: NF4 double, rank 16 on all linear layers, fp32 adapters, 2,048 tokens."""
    estimate = run(method="qlora", quantization="nf4_double", mixed_precision="none", optimizer="adamw_torch")
    assert estimate.peak.phase == "loss_backward"
    assert estimate.peak.allocated_bytes.mid == pytest.approx(9.9472e9, rel=3e-4)


def test_full_fine_tune_with_foreach_adamw_takes_ten_bytes_per_parameter() -> None:
    """2 weights, 2 gradients, 4 states, 2 for the temporary of the step."""
    model = find_model("mistral-7b-v0.1")
    estimate = run(model, "full", "trl-0.13", micro_batch_size=4, sequence_length=4096, optimizer="adamw_torch")
    assert estimate.peak.phase == "optimizer_step"
    assert estimate.peak.allocated_bytes.mid / 7_241_732_096 == pytest.approx(10.0, rel=0.003)


def test_components_alive_in_a_phase_add_up_to_it() -> None:
    for method, quantization in (("lora", "bf16"), ("qlora", "nf4_double"), ("full", "bf16")):
        estimate = run(method=method, quantization=quantization)
        for phase in estimate.phases:
            alive = sum(c.nbytes for c in estimate.components if phase.phase in c.alive)
            assert alive == phase.allocated_bytes, phase.phase


def test_every_component_is_the_sum_of_its_amounts() -> None:
    for component in run().components:
        assert component.nbytes == sum(a.nbytes(component.values) for a in component.amounts)
        assert component.formula and component.reference


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 16), st.integers(1, 8192), st.sampled_from(["lora", "qlora", "full"]))
def test_more_tokens_never_need_less(batch: int, length: int, method: str) -> None:
    quantization = "nf4_double" if method == "qlora" else "bf16"
    kept = {"method": method, "quantization": quantization}
    here = allocated(micro_batch_size=batch, sequence_length=length, **kept)
    assert allocated(micro_batch_size=batch + 1, sequence_length=length, **kept) >= here
    assert allocated(micro_batch_size=batch, sequence_length=length + 1, **kept) >= here


def test_rank_bits_and_checkpointing_move_the_right_way() -> None:
    assert allocated(lora_r=64) > allocated(lora_r=8)
    assert allocated(quantization="nf4_double") < allocated(quantization="int8") < allocated(quantization="bf16")
    assert allocated(gradient_checkpointing="full") < allocated(gradient_checkpointing="none")
    assert allocated(gradient_checkpointing="offload") < allocated(gradient_checkpointing="full")
    assert allocated(attn_implementation="sdpa") <= allocated(attn_implementation="eager")


def test_grouped_heads_in_fp32_have_their_scores_written_out() -> None:
    """Flash attention takes 16 bit only, and memory-efficient attention no grouped heads (ATen sdp_utils.cpp): between
    the passes 4 B per score and layer stay. Equal heads, 16 bit and repeated keys have fused kernels."""

    def scores(model: str = "llama-3.2-1b", **choices: object) -> int:
        plan = {"weights_dtype": "fp32", "mixed_precision": "none", "gradient_checkpointing": "none", **choices}
        estimate = run(find_model(model), "full", sequence_length=512, **plan)
        kept = [c for c in estimate.components if c.kind == "activations" and "loss_forward" in c.alive]
        return sum(a.nbytes(c.values) for c in kept for a in c.amounts if "probabilities" in a.label)

    values = 16 * 32 * 512 * 512
    assert scores() == scores(attn_implementation="sdpa_math") == 4 * values
    assert scores(weights_dtype="bf16") == scores("llama-2-7b") == scores(padding="padded") == 0
    assert scores(stack="trl-0.13") == 0


def test_outputs_that_a_loop_keeps_live_until_the_next_are_there() -> None:
    """PEFT's loop holds 2 B per logit behind the backward pass, through the step, and until the next pass has made its
    own; through the graph also the leaf that checkpointing makes of the embedding, with its gradient. The loss counts
    its own outputs: in the forward pass both are there."""
    tokens = 2 * 512
    logits, leaf = 2 * tokens * 128_256, 2 * 2 * tokens * 4096

    def at(stack: str) -> dict[str, int]:
        estimate = run(stack=stack, optimizer="adamw_torch", micro_batch_size=2, sequence_length=512,
                       mixed_precision="none", gradient_checkpointing="full")  # fmt: skip
        return {p.phase: p.allocated_bytes for p in estimate.phases}

    kept, dropped = at("peft-loop"), at("transformers-peft")
    more = {phase: kept[phase] - dropped[phase] for phase in kept if kept[phase] != dropped[phase]}
    assert more == {
        "forward": logits + leaf,
        "loss_forward": logits + leaf,
        "loss_backward": logits,
        "backward_first": logits,
        "backward_last": logits,
        "clip": logits + leaf,
        "optimizer_step": logits + leaf,
    }


def test_layers_are_linear_without_checkpointing() -> None:
    from dataclasses import replace

    def at(layers: int) -> int:
        model = replace(LLAMA, layer_kinds=(0,) * layers)
        return run(model, gradient_checkpointing="none").peak.allocated_bytes.mid

    assert at(8) - at(4) == at(12) - at(8)


def test_gradient_accumulation_keeps_gradients_in_every_phase() -> None:
    once, twice = run(), run(gradient_accumulation_steps=2)
    trained = sum(c.nbytes for c in once.components if c.kind == "gradients" and "clip" in c.alive)
    loss = {p.phase: p.allocated_bytes for p in twice.phases}["loss_backward"]
    assert loss - {p.phase: p.allocated_bytes for p in once.phases}["loss_backward"] == trained


def test_an_int8_base_keeps_its_inputs_unless_checkpointing_is_reentrant() -> None:
    assert allocated(quantization="int8", use_reentrant=False) > 1.2 * allocated(quantization="int8")
    assert any("use_reentrant" in note for note in run(quantization="int8").notes)


def test_what_has_no_evidence_is_refused_by_name() -> None:
    with pytest.raises(NotModelled, match="MXFP4"):
        run(quantization="mxfp4")
    with pytest.raises(BadInput, match="--method full trains every weight"):
        run(method="full", quantization="nf4_double")
    with pytest.raises(BadInput, match="has no such module"):
        run(target_modules=("c_attn",))
    with pytest.raises(BadInput, match="--optimizer adamm is not known"):
        run(optimizer="adamm")
