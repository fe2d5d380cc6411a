"""The training step in the order of the Trainer, on the processor."""

from dataclasses import replace

import pytest

from vram_advisor.calibration.phases import BACKWARD_MIDDLE, PHASES, by_phase
from vram_advisor.calibration.training_step import Run, build
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.units.errors import BadInput, NotModelled

SMALL = {
    "model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
LORA = Workload(method="lora", sequence_length=16, micro_batch_size=2)
USUAL = Plan()


class Heard:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def enter(self, phase: str) -> None:
        self.phases.append(phase)


def trial(workload: Workload = LORA, plan: Plan = USUAL, **others: object) -> Trial:
    plan = resolved(workload, plan, recipe(plan.recipe))
    return Trial(config=dict(SMALL), workload=workload, plan=plan, backend="cpu", **others)  # type: ignore[arg-type]


def heard(run: Run) -> list[str]:
    listener = Heard()
    run.step(run.lengths(0), listener)
    return listener.phases


ONE_STEP = [
    "forward", "forward", "forward", "loss_forward", "loss_forward",
    "loss_backward", "backward_first", BACKWARD_MIDDLE, "backward_last", "clip", "optimizer_step",
]  # fmt: skip


@pytest.mark.parametrize(
    "plan",
    [
        Plan(gradient_checkpointing="full"),
        Plan(gradient_checkpointing="full", use_reentrant=True),
        Plan(gradient_checkpointing="none"),
    ],
    ids=["checkpointed", "reentrant", "kept"],
)
def test_a_step_passes_its_borders_in_order(plan: Plan) -> None:
    assert heard(build(trial(plan=plan), "cpu")) == ONE_STEP


def test_micro_batches_repeat_the_passes() -> None:
    workload = replace(LORA, gradient_accumulation_steps=2)
    assert heard(build(trial(workload), "cpu")) == ONE_STEP[:9] * 2 + ONE_STEP[9:]


def test_a_loop_that_does_not_clip_has_no_such_phase() -> None:
    plan = Plan(recipe="peft-loop")
    assert recipe("peft-loop").clips_gradients == ("clip" in heard(build(trial(plan=plan), "cpu")))


@pytest.mark.parametrize(
    ("method", "plan", "trained"),
    [
        ("lora", Plan(target_modules=("q_proj", "v_proj"), lora_r=4), 3 * 4 * (32 + 32 + 32 + 16)),
        ("dora", Plan(target_modules=("q_proj",), lora_r=4), 3 * (4 * (32 + 32) + 32)),
        ("lora", Plan(target_modules=("q_proj",), lora_r=4, modules_to_save=("lm_head",)), 3 * 4 * 64 + 96 * 32),
        ("full", Plan(optimizer="sgd"), 2 * 96 * 32 + 3 * (32 * (32 + 16 + 16 + 32) + 3 * 32 * 48 + 2 * 32) + 32),
    ],
)
def test_what_is_trained(method: str, plan: Plan, trained: int) -> None:
    run = build(trial(replace(LORA, method=method), plan), "cpu")  # type: ignore[arg-type]
    assert sum(p.numel() for p in run.parameters) == trained


@pytest.mark.parametrize(
    ("name", "quantization", "dtype"),
    [
        ("transformers-peft", "bf16", "torch.float32"),
        ("transformers-peft-kbit", "nf4_double", "torch.float32"),
        ("trl", "nf4_double", "torch.bfloat16"),
        ("trl", "bf16", "torch.float32"),
    ],
)
def test_recipes_differ_in_the_dtype_of_adapters(name: str, quantization: str, dtype: str) -> None:
    method = "qlora" if quantization != "bf16" else "lora"
    plan = Plan(recipe=name, quantization=quantization, loss="standard")
    run = build(trial(replace(LORA, method=method), plan), "cpu")  # type: ignore[arg-type]
    assert {str(p.dtype) for p in run.parameters} == {dtype}


def test_kbit_preparation_upcasts_what_is_not_quantised() -> None:
    workload = replace(LORA, method="qlora")
    prepared, plain = (
        build(trial(workload, Plan(recipe=name, quantization="nf4_double")), "cpu").model.get_input_embeddings()
        for name in ("transformers-peft-kbit", "transformers-peft")
    )
    assert (str(prepared.weight.dtype), str(plain.weight.dtype)) == ("torch.float32", "torch.bfloat16")


def test_sequences_of_a_dataset_come_in_order_and_round_again() -> None:
    run = build(trial(lengths=(3, 5, 7)), "cpu")
    assert [run.lengths(step) for step in range(3)] == [(3, 5), (7, 3), (5, 7)]


def test_a_short_sequence_is_padded_and_has_no_loss_there() -> None:
    batch = build(trial(), "cpu")._batch((3, 5))
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert batch["labels"][0].tolist()[3:] == [-100, -100]


def test_middle_layers_count_only_above_both_ends() -> None:
    ends = {"backward_first": 5, "backward_last": 3}
    assert by_phase({**ends, BACKWARD_MIDDLE: 4}) == ends
    assert by_phase({**ends, BACKWARD_MIDDLE: 6}) == {**ends, "backward_first": 6}
    assert list(by_phase(dict.fromkeys(reversed(PHASES), 1))) == list(PHASES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": Plan(recipe="unsloth")}, "transformers-peft, transformers-peft-16bit, transformers-peft-kbit, trl"),
        ({"workload": replace(LORA, objective="dpo")}, "--objective dpo does not run here"),
        ({"plan": Plan(gradient_checkpointing="offload")}, "use none or full"),
        ({"plan": Plan(optimizer="muon")}, "--optimizer muon does not run here"),
        ({"workload": replace(LORA, method="qlora"), "plan": Plan(quantization="gptq_int4")}, "without a checkpoint"),
    ],
)
def test_what_does_not_run_is_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(NotModelled, match=words.replace("(", r"\(")):
        build(trial(**change), "cpu")  # type: ignore[arg-type]


def test_an_architecture_that_transformers_lacks_is_refused_by_name() -> None:
    asked = trial()
    with pytest.raises(NotModelled, match="has no code for llama_of_tomorrow"):
        build(replace(asked, config={**SMALL, "model_type": "llama_of_tomorrow"}), "cpu")


def test_adapters_that_peft_refuses_are_bad_input() -> None:
    with pytest.raises(BadInput, match="PEFT refuses"):
        build(trial(plan=Plan(target_modules=("no_such_proj",))), "cpu")
