"""The life of storages, against the allocator of the processor itself."""

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from processor_memory import peak

from vram_advisor.calibration.kernel_temporaries import GPU, PROCESSOR
from vram_advisor.calibration.phases import PHASES
from vram_advisor.calibration.tracker import Tracker, rounded
from vram_advisor.calibration.training_step import build
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Trial
from vram_advisor.memory.setup import resolved


def followed(work: Callable[[Tracker], object]) -> Tracker:
    with Tracker("cpu", kernels=PROCESSOR) as tracker:
        work(tracker)
    return tracker


def test_a_storage_begins_where_it_is_made_and_ends_with_its_last_name() -> None:
    def work(tracker: Tracker) -> None:
        x = torch.empty(1000)
        y = x.view(10, 100)
        del x
        assert tracker.live_bytes == 4096
        del y

    tracker = followed(work)
    assert tracker.events == [(0, 4000), (0, -4000)]
    assert tracker.live_bytes == 0


@pytest.mark.parametrize(("nbytes", "taken"), [(0, 0), (1, 512), (512, 512), (513, 1024)])
def test_sizes_are_rounded_as_the_caching_allocator_does(nbytes: int, taken: int) -> None:
    assert rounded(nbytes) == taken


def test_what_was_there_before_a_window_is_an_activation_and_what_began_in_it_a_temporary() -> None:
    def work(tracker: Tracker) -> None:
        tracker.label([torch.empty(128)], "weights")
        tracker.enter("forward")
        x = torch.empty(256)
        tracker.enter("loss_forward")
        y = torch.empty(512)
        tracker.enter("clip")
        del x, y

    moments = followed(work).moments()
    assert [m.border for m in moments] == ["", "forward", "loss_forward", "clip"]
    assert moments[1].by_category["temporaries"] == 1024
    assert moments[2].by_category["activations"] == 1024
    assert moments[2].by_category["temporaries"] == 2048


def test_what_is_as_wide_as_the_vocabulary_in_the_loss_is_a_logit() -> None:
    with Tracker("cpu", vocabulary=300) as tracker:
        tracker.enter("loss_forward")
        logits = torch.empty(4, 300)
    assert tracker.moments()[1].by_category["logits"] == rounded(logits.nbytes)


def test_gradients_are_gradients_from_their_first_byte() -> None:
    model = torch.nn.Linear(64, 64, bias=False)
    with Tracker("cpu") as tracker:
        tracker.label_model(model, "weights")
        tracker.enter("loss_backward")
        model(torch.ones(1, 64)).sum().backward()
        tracker.enter("clip")
    (moment,) = (m for m in tracker.moments() if m.border == "loss_backward")
    assert moment.by_category["gradients"] == 64 * 64 * 4
    assert moment.by_category["weights"] == 64 * 64 * 4


def test_gradients_that_meet_are_added_in_place_as_without_a_tracker() -> None:
    """Under any dispatch mode autograd adds them into a third tensor, which nobody's run has."""
    x = torch.randn(512, 512, requires_grad=True)

    def work() -> None:
        hidden = x * 1.0
        (hidden.sin() + hidden.cos() + hidden.exp()).sum().backward()
        x.grad = None

    work()
    real = peak(work)
    with Tracker("cpu") as tracker:
        tracker.enter("loss_backward")
        work()
    assert max(m.nbytes for m in tracker.moments()) == pytest.approx(real, rel=1e-3)


FP32 = Plan(weights_dtype="fp32", quantization="fp32", mixed_precision="none")
STEPS = {
    "LoRA, one dtype": ("lora", replace(FP32, gradient_checkpointing="none")),
    "LoRA, one dtype, checkpointed": ("lora", FP32),
    "LoRA under autocast": ("lora", Plan(gradient_checkpointing="none", attn_implementation="eager")),
    "LoRA with dropout": (
        "lora",
        Plan(gradient_checkpointing="none", attn_implementation="eager", lora_dropout=0.1, mixed_precision="none"),
    ),
    "full, one dtype": ("full", replace(FP32, gradient_checkpointing="none", optimizer="sgd")),
    "full, one dtype, checkpointed": ("full", replace(FP32, optimizer="adamw_torch_for_loop")),
    "full under autocast": ("full", Plan(weights_dtype="fp32", attn_implementation="eager")),
    "QLoRA, prepared": ("qlora", Plan(recipe="transformers-peft-kbit", quantization="nf4_double")),
    "DoRA in the loop of PEFT": ("dora", Plan(recipe="peft-loop")),
}


@pytest.mark.trainers
@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_what_the_allocator_of_the_processor_gave_it(name: str) -> None:
    method, plan = STEPS[name]
    config = {
        "model_type": "llama", "vocab_size": 512, "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 4,
    }  # fmt: skip
    workload = Workload(method=method, sequence_length=256, micro_batch_size=2)  # type: ignore[arg-type]
    plan = resolved(workload, plan, recipe(plan.recipe))
    run = build(Trial(config=config, workload=workload, plan=plan, backend="cpu"), "cpu")

    class Deaf:
        def enter(self, phase: str) -> None:
            pass

    for _ in range(2):
        run.step(run.lengths(0), Deaf())
    gc.collect()
    real = peak(lambda: run.step(run.lengths(0), Deaf()))
    with Tracker("cpu", run.vocabulary, PROCESSOR) as tracker:
        tracker.label_model(run.model, "adapters")
        tracker.label_optimizer(run.optimizer)
        before = tracker.live_bytes
        run.step(run.lengths(0), tracker)
        tracker.enter("")
    most = max(m.nbytes for m in tracker.moments() if m.border in PHASES)
    assert most == pytest.approx(before + real, rel=0.005)


def test_flash_attention_sums_in_fp32_and_repeats_keys_in_its_backward_pass() -> None:
    query, key = torch.empty(2, 8, 100, 96, dtype=torch.bfloat16), torch.empty(2, 2, 100, 96, dtype=torch.bfloat16)
    sizes = GPU["aten::_scaled_dot_product_flash_attention_backward"]([query, query, key], {})
    rows = 2 * 8 * 128
    assert sizes == [4 * rows, 4 * rows * 96] + 2 * [2 * 8 * 100 * 96 * 2]


@pytest.mark.parametrize(("rows", "sizes"), [(512, []), (513, [2 * 4096 * 4096] + 2 * [4 * 4096 * 4096 // 64])])
def test_a_4_bit_weight_is_copied_for_many_rows(rows: int, sizes: list[int]) -> None:
    x = torch.empty(rows, 4096, dtype=torch.bfloat16, device="meta")
    multiply = GPU["bitsandbytes::gemm_4bit"]
    assert multiply([x, None, (4096, 4096), None, 64, "nf4"], {"absmax_8bit": x}) == sizes


def test_the_processor_copies_operands_of_another_dtype() -> None:
    wide, narrow = torch.empty(8, 8), torch.empty(8, 8, dtype=torch.bfloat16)
    assert PROCESSOR["aten::add"]([wide, narrow], {}) == [8 * 8 * 4]
    assert PROCESSOR["aten::add"]([wide, wide], {}) == []
