"""The closed form, traces of the real code on fake tensors, and the same code on the processor say the same.

Combinations here are fresh: no row of the ledgers of traces has the model with this batch and length.
"""

import csv
import gc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median

import pytest
from processor_memory import peak

from vram_advisor.calibration.beside import WITHOUT_WORKSPACES
from vram_advisor.calibration.compare import compare
from vram_advisor.calibration.fake_tensors import fake_tensors
from vram_advisor.calibration.kernel_temporaries import PROCESSOR
from vram_advisor.calibration.phases import PHASES
from vram_advisor.calibration.stand_ins import building
from vram_advisor.calibration.trace import trace_many
from vram_advisor.calibration.tracker import Tracker
from vram_advisor.calibration.training_step import Run, build
from vram_advisor.domain import architectures
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trace import Trace
from vram_advisor.domain.trial import Backend, Trial
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_record

pytestmark = pytest.mark.trainers

MEASUREMENTS = Path(__file__).parents[2] / "data" / "measurements"
MODELS = (
    "llama-2-7b", "llama-2-13b", "llama-3.1-8b", "llama-3.1-70b", "qwen2.5-7b", "qwen3-8b", "mistral-7b-v0.1",
    "gemma-2-9b", "olmoe-1b-7b",
)  # fmt: skip
METHODS = {
    "LoRA, fp32 adapters": ("lora", Plan()),
    "LoRA, 16-bit adapters": ("lora", Plan(recipe="transformers-peft-16bit")),
    "QLoRA, prepared, fp32 adapters": (
        "qlora",
        Plan(recipe="transformers-peft-kbit", quantization="nf4_double", optimizer="adamw_torch"),
    ),
    "QLoRA, 16-bit adapters": ("qlora", Plan(recipe="trl", quantization="nf4_double")),
    "full in 16 bit, 8-bit AdamW": ("full", Plan(optimizer="adamw_bnb_8bit")),
    "full in 32 bit": ("full", Plan(weights_dtype="fp32")),
}
SHAPES = ((1, 1408), (2, 896), (3, 704), (5, 320))
"""Micro batches and lengths."""
SECONDS = 1500.0
"""Limit for all of them together; an idle machine of two cores needs a fifth of it."""


@dataclass(frozen=True)
class Job:
    model: str
    workload: Workload
    plan: Plan

    @property
    def config(self) -> dict[str, object]:
        return dict(find_record(self.model).config)


def grid() -> Iterator[Job]:
    """Every model with every method, checkpointed and not, the shapes in turn."""
    shapes = cycle(SHAPES)
    for model in MODELS:
        for method, plan in METHODS.values():
            for checkpointing in ("none", "full"):
                batch, length = next(shapes)
                workload = Workload(method=method, micro_batch_size=batch, sequence_length=length)  # type: ignore[arg-type]
                yield Job(model, workload, replace(plan, gradient_checkpointing=checkpointing))  # type: ignore[arg-type]
        next(shapes)


def test_no_combination_is_in_a_ledger() -> None:
    known = set()
    for name in ("traces.csv", "traces_fresh.csv", "traces_hybrids.csv"):
        with (MEASUREMENTS / name).open(newline="") as file:
            known |= {(r["model"], r["micro_batch_size"], r["sequence_length"]) for r in csv.DictReader(file)}
    assert not known & {(j.model, str(j.workload.micro_batch_size), str(j.workload.sequence_length)) for j in grid()}


@pytest.fixture(scope="module")
def errors() -> dict[Job, float]:
    """Relative error of the peak of the closed form against a fresh trace."""
    jobs = list(grid())
    found = {}
    for job, trace in zip(
        jobs, trace_many([(j.config, j.workload, j.plan) for j in jobs], seconds=SECONDS), strict=True
    ):
        assert isinstance(trace, Trace), f"{job}: {trace}"
        found[job] = relative(job, trace)
    return found


def relative(job: Job, trace: Trace) -> float:
    """Error of the peak of the closed form."""
    spec = architectures.build(job.config, id=job.model)
    estimate = estimate_training(spec, job.workload, job.plan, recipe(job.plan.recipe), None, WITHOUT_WORKSPACES)
    phases = compare(estimate, trace).phases
    return max(p.formula_bytes for p in phases) / max(p.trace_bytes for p in phases) - 1


def test_the_closed_form_is_the_trace(errors: dict[Job, float]) -> None:
    assert median(map(abs, errors.values())) <= 0.005


def test_no_closed_form_is_far_from_its_trace(errors: dict[Job, float]) -> None:
    far = {job: f"{error:+.2%}" for job, error in errors.items() if abs(error) > 0.02}
    assert not far


LONE = {
    "grouped heads in fp32: the fallback of sdpa": Job(
        "llama-3.2-1b",
        Workload(method="full", sequence_length=1408),
        Plan(weights_dtype="fp32", mixed_precision="none", gradient_checkpointing="none"),
    ),
    "grouped heads in fp32, computed again": Job(
        "llama-3.2-1b",
        Workload(method="full", sequence_length=2560),
        Plan(weights_dtype="fp32", mixed_precision="none", optimizer="sgd"),
    ),
    "the fallback of sdpa, grouped heads": Job(
        "llama-3.2-1b",
        Workload(method="lora", micro_batch_size=2, sequence_length=896),
        Plan(attn_implementation="sdpa_math", gradient_checkpointing="none"),
    ),
    "the fallback of sdpa, computed again": Job(
        "llama-2-7b",
        Workload(method="lora", micro_batch_size=2, sequence_length=896),
        Plan(attn_implementation="sdpa_math"),
    ),
    "outputs that the loop keeps": Job(
        "llama-3.2-1b",
        Workload(method="lora", micro_batch_size=2, sequence_length=896),
        Plan(recipe="peft-loop", gradient_checkpointing="full"),
    ),
    "16-bit adapters of stacked experts": Job(
        "olmoe-1b-7b",
        Workload(method="qlora", micro_batch_size=2, sequence_length=896),
        Plan(recipe="trl", quantization="nf4_double", gradient_checkpointing="none"),
    ),
    "paged states of stacked experts": Job(
        "olmoe-1b-7b",
        Workload(method="lora", sequence_length=704),
        Plan(optimizer="paged_adamw_8bit"),
    ),
    "tables trained beside the adapters": Job(
        "llama-3.2-1b",
        Workload(method="lora", micro_batch_size=2, sequence_length=896),
        Plan(modules_to_save=("lm_head", "embed_tokens"), gradient_checkpointing="none"),
    ),
    "DoRA": Job("llama-3.2-1b", Workload(method="dora", sequence_length=256), Plan(quantization="bf16")),
    "DoRA behind dropout": Job(
        "llama-2-7b", Workload(method="dora", sequence_length=704), Plan(quantization="bf16", lora_dropout=0.05)
    ),
    "DoRA on 4 bits, prepared": Job(
        "llama-2-7b",
        Workload(method="dora", sequence_length=704),
        Plan(quantization="nf4_double", recipe="transformers-peft-kbit"),
    ),
}
"""Combinations outside the grid."""
HELD_WIDE = Job(
    "llama-2-7b",
    Workload(method="dora", sequence_length=704),
    Plan(quantization="nf4_double", gradient_checkpointing="none"),
)
"""DoRA makes the residual stream fp32 behind the first layer; its own input is counted so too, 0.1 % too high."""


def test_the_closed_form_is_the_trace_outside_the_grid() -> None:
    jobs = [(job.config, job.workload, job.plan) for job in LONE.values()]
    far = {}
    for (name, job), trace in zip(LONE.items(), trace_many(jobs, seconds=SECONDS), strict=True):
        assert isinstance(trace, Trace), f"{name}: {trace}"
        error = relative(job, trace)
        if abs(error) > 0.0005:
            far[name] = f"{error:+.2%}"
    assert not far


def test_dora_on_4_bits_makes_the_residual_stream_fp32() -> None:
    (trace,) = trace_many([(HELD_WIDE.config, HELD_WIDE.workload, HELD_WIDE.plan)])
    assert isinstance(trace, Trace)
    assert 0 <= relative(HELD_WIDE, trace) <= 0.0015


def test_two_depths_give_what_the_whole_model_gives() -> None:
    """Layers all alike, layers of two kinds in turn, a dense layer in front of mixtures of experts."""
    workload = Workload(method="lora", sequence_length=384)
    plans = (Plan(gradient_checkpointing="none"), Plan(recipe="trl", quantization="nf4"))
    jobs = [
        (find_record(name).config, replace(workload, method="lora" if plan.quantization is None else "qlora"), plan)
        for name in ("llama-3.2-1b", "gemma-2-2b", "deepseek-v2-lite")
        for plan in plans
    ]
    for short, whole in zip(trace_many(jobs), trace_many(jobs, full_depth=True), strict=True):
        assert isinstance(short, Trace)
        assert isinstance(whole, Trace)
        assert (len(short.depths), len(whole.depths)) == (2, 1)
        assert short.resident_bytes == whole.resident_bytes
        for a, b in zip(short.phases, whole.phases, strict=True):
            # What a loop over all tensors of the model needs is not rounded layer by layer.
            assert a.allocated_bytes == pytest.approx(b.allocated_bytes, abs=1 << 20 if a.phase == "clip" else 4096)


PRETENDED = {
    "LoRA with dropout": ("lora", Plan(lora_dropout=0.05, gradient_checkpointing="none")),
    "full in 32 bit, autocast": ("full", Plan(weights_dtype="fp32", gradient_checkpointing="none")),
    "QLoRA, prepared": ("qlora", Plan(recipe="transformers-peft-kbit", quantization="nf4_double")),
    "QLoRA on int8": ("qlora", Plan(quantization="int8", gradient_checkpointing="none")),
    "QLoRA of TRL": ("qlora", Plan(recipe="trl", quantization="nf4_double")),
}


def test_fake_tensors_of_the_processor_give_what_those_of_a_gpu_give() -> None:
    jobs = [
        (find_record("llama-3.2-1b").config, Workload(method=method, sequence_length=384), plan)  # type: ignore[arg-type]
        for method, plan in PRETENDED.values()
    ]
    jobs.append((find_record("gpt2").config, Workload(method="lora", sequence_length=384), Plan()))
    gpu, processor = trace_many(jobs), trace_many(jobs, device="cpu")
    if isinstance(gpu[0], Trace) and gpu[0].device == "cpu":
        pytest.skip("this torch cannot pretend to have a GPU")
    for a, b in zip(gpu, processor, strict=True):
        assert isinstance(a, Trace)
        assert isinstance(b, Trace)
        assert [(p.phase, p.allocated_bytes) for p in a.phases] == [(p.phase, p.allocated_bytes) for p in b.phases]


def test_a_trace_of_7b_takes_seconds_and_little_memory() -> None:
    (made,) = trace_many([(find_record("llama-2-7b").config, Workload(method="lora"), Plan())])
    assert isinstance(made, Trace)
    assert made.seconds <= 20.0
    assert made.host_bytes <= 1.5 * 2**30


SMALL = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, object]] = {
    "llama": {}, "qwen2": {}, "qwen3": {"head_dim": 32}, "mistral": {}, "phi3": {"pad_token_id": 0}, "gpt_neox": {},
    "gemma3_text": {"head_dim": 32, "query_pre_attn_scalar": 32}, "olmoe": {"num_experts": 8, "num_experts_per_tok": 2},
}  # fmt: skip
ONE_DTYPE = Plan(weights_dtype="fp32", mixed_precision="none", attn_implementation="eager", optimizer="sgd")
ON_PROCESSOR = {
    "LoRA": ("lora", replace(ONE_DTYPE, quantization="fp32", gradient_checkpointing="none")),
    "LoRA, checkpointed": ("lora", replace(ONE_DTYPE, quantization="fp32")),
    "full": ("full", replace(ONE_DTYPE, gradient_checkpointing="none")),
    "full, checkpointed": ("full", ONE_DTYPE),
}
CASES = [(model, name) for model in ARCHITECTURES for name in ON_PROCESSOR]


def small(model: str, method: str, plan: Plan, backend: Backend) -> Trial:
    workload = Workload(method=method, micro_batch_size=2, sequence_length=128)  # type: ignore[arg-type]
    config = {"model_type": model, **SMALL, **ARCHITECTURES[model]}
    return Trial(config=config, workload=workload, plan=resolved(workload, plan, recipe(plan.recipe)), backend=backend)


def followed(run: Run) -> list[tuple[str, int]]:
    """The largest moment of every window of a step."""
    with Tracker("cpu", run.vocabulary, PROCESSOR) as tracker:
        tracker.label_model(run.model, "adapters")
        run.make_states()
        tracker.label_optimizer(run.optimizer)
        run.step(run.lengths(0), tracker)
        tracker.enter("")
    return [(m.border, m.nbytes) for m in tracker.moments() if m.border in PHASES]


MIXED = {
    "LoRA under autocast": ("lora", Plan()),
    "LoRA with dropout": ("lora", Plan(lora_dropout=0.1, gradient_checkpointing="none")),
    "QLoRA, prepared": ("qlora", Plan(recipe="transformers-peft-kbit", quantization="nf4_double")),
    "DoRA in the loop of PEFT": ("dora", Plan(recipe="peft-loop", optimizer="adamw_torch_for_loop")),
}


@pytest.mark.parametrize(
    ("model", "method", "plan"),
    [(m, *ON_PROCESSOR[n]) for m, n in CASES] + [("llama", *case) for case in MIXED.values()],
)
def test_a_step_without_memory_is_the_step_with_memory(model: str, method: str, plan: Plan) -> None:
    real = followed(build(small(model, method, plan, "cpu"), "cpu"))
    pretended = small(model, method, plan, "fake")
    with fake_tensors(pretended.plan, "cpu", of_gpu=False):
        with building():
            run = build(pretended, "cpu")
        fake = followed(run)
    assert [border for border, _ in fake] == [border for border, _ in real]
    assert [nbytes for _, nbytes in fake] == pytest.approx([nbytes for _, nbytes in real], rel=0.005)


@pytest.mark.parametrize(
    ("model", "name"), [case for case in CASES if case not in {("olmoe", "LoRA"), ("olmoe", "LoRA, checkpointed")}]
)
def test_the_closed_form_is_what_the_allocator_of_the_processor_gave(model: str, name: str) -> None:
    """Where processor and GPU allocate alike: one dtype, no dropout, written-out attention."""
    method, plan = ON_PROCESSOR[name]
    trial = small(model, method, plan, "cpu")
    run = build(trial, "cpu")

    class Deaf:
        def enter(self, phase: str) -> None:
            pass

    run.step(run.lengths(0), Deaf())
    gc.collect()
    real = peak(lambda: run.step(run.lengths(0), Deaf()))
    with Tracker("cpu") as tracker:
        tracker.label_model(run.model, "adapters")
    before = tracker.live_bytes
    spec = architectures.build(trial.config, id=model)
    estimate = estimate_training(spec, trial.workload, plan, recipe(plan.recipe), None, WITHOUT_WORKSPACES)
    assert max(p.allocated_bytes for p in estimate.phases if p.phase in PHASES) == pytest.approx(
        before + real, rel=0.005
    )
