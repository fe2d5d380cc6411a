"""Training of every architecture against traces of the real code, and laws that hold for all of them.

``data/measurements/traces_fresh.csv``: whole models. ``architecture_traces.csv``: the first ``layers`` layers of further
ones, transformers 5.23 and peft 0.21 on fake tensors; live tensor bytes rounded up to 512, without cuBLAS workspace.
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vram_advisor.accuracy.score import TRACED_OUTSIDE
from vram_advisor.accuracy.training_rows import training_cases
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import BadInput, NotModelled

Row = dict[str, str]
HERE = Path(__file__).parent
FRESH = HERE.parents[1] / "data" / "measurements" / "traces_fresh.csv"


def rows(path: Path) -> Iterator[Row]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


BY_ID = {row["id"]: row for row in rows(FRESH)}
FEW_LAYERS = list(rows(HERE / "architecture_traces.csv"))
EXAMPLES = {
    "gpt2, Conv1D and gelu_new": "fresh-0077",
    "gpt2, written-out attention under autocast": "fresh-0082",
    "gpt-neox, split projections": "fresh-0086",
    "opt, learned positions": "fresh-0093",
    "falcon-7b, one key head": "fresh-0101",
    "falcon-7b, the fallback of sdpa": "fresh-0103",
    "starcoder2, LayerNorm": "fresh-0107",
    "phi-2, parallel and partly rotated": "fresh-0114",
    "stablelm, partly rotated": "fresh-0123",
    "cohere2, parallel": "fresh-0131",
    "cohere, LayerNorm in fp32": "fresh-0140",
    "gemma, 1 + weight": "fresh-0146",
    "gemma 2, softcapping": "fresh-0154",
    "gemma 3, windows under sdpa": "fresh-0211",
    "bloom, ALiBi inside the product": "fresh-0170",
    "mpt, ALiBi in fp32": "fresh-0179",
    "gpt-j, rotated by token": "fresh-0186",
    "nemotron, squared ReLU": "fresh-0195",
    "phi-3, fused projections": "fresh-0214",
    "olmo 2, norms on outputs": "fresh-0044",
    "glm 4, interleaved": "fresh-0010",
    "mixtral, attention adapted": "fresh-0219",
    "mixtral, experts adapted": "fresh-0223",
    "mixtral, in full": "fresh-0225",
    "qwen3 moe": "fresh-0232",
    "olmoe, fp32 experts": "fresh-0270",
    "gpt-oss, sinks": "fresh-0250",
    "deepseek v2, latent attention": "fresh-0262",
    "deepseek v2, in full": "fresh-0267",
}


def top(estimate: Estimate, *phases: str) -> int:
    """The most that a trace of these phases would see; of all that it sees without any."""
    outside = sum(c.nbytes for c in estimate.components if c.kind == "workspace")
    seen = [p for p in estimate.phases if (p.phase in phases if phases else p.phase not in TRACED_OUTSIDE)]
    return max(p.allocated_bytes for p in seen) - outside


@pytest.mark.parametrize("name", EXAMPLES)
def test_peak_is_that_of_the_traced_model(name: str) -> None:
    row = BY_ID[EXAMPLES[name]]
    cases = training_cases(row)
    assert isinstance(cases, list)
    case = cases[0]
    estimate = estimate_training(case.model, case.workload, case.plan, case.recipe, case.device)
    assert top(estimate) == pytest.approx(int(row["measured_bytes"]), rel=5e-4)


def cut(model: ModelSpec, layers: int) -> ModelSpec:
    """The model with its first layers alone."""
    return replace(model, layer_kinds=model.layer_kinds[:layers], tower_parameters=0)


def estimated(row: Row) -> Estimate:
    workload = Workload(
        method=row["method"],  # type: ignore[arg-type]
        sequence_length=int(row["sequence_length"]),
        micro_batch_size=int(row["micro_batch_size"]),
        gradient_accumulation_steps=int(row["gradient_accumulation_steps"]),
    )
    plan = Plan(
        quantization=row["quantization"] if row["quantization"] != "none" else row["weights_dtype"],
        lora_r=16,
        target_modules=tuple(row["target_modules"].split()) or ("all-linear",),
        optimizer=row["optimizer"],
        gradient_checkpointing=row["gradient_checkpointing"],  # type: ignore[arg-type]
        attn_implementation=row["attention"],
        mixed_precision=row["autocast"],  # type: ignore[arg-type]
        use_reentrant=False,
        weights_dtype=row["weights_dtype"],  # type: ignore[arg-type]
    )
    return estimate_training(
        cut(find_model(row["model"]), int(row["layers"])), workload, plan, recipe("transformers-peft")
    )


def named(row: Row) -> str:
    parts = (row["method"], row["weights_dtype"], row["autocast"], row["attention"], row["gradient_checkpointing"])
    return "-".join((row["model"], *parts))


@pytest.mark.parametrize("row", FEW_LAYERS, ids=named)
def test_few_layers_need_what_the_trace_does(row: Row) -> None:
    estimate = estimated(row)
    assert top(estimate) == pytest.approx(int(row["peak_bytes"]), rel=6e-3)
    assert top(estimate, "backward_first") == pytest.approx(int(row["backward_first_bytes"]), rel=2e-2)


def test_few_layers_are_exact_for_most() -> None:
    errors = sorted(abs(top(estimated(row)) / int(row["peak_bytes"]) - 1) for row in FEW_LAYERS)
    assert errors[len(errors) // 2] < 2e-5
    assert errors[len(errors) * 9 // 10] < 3e-4


UNIFORM = ("pythia-1.4b", "opt-1.3b", "phi-2", "command-r-35b", "gemma-7b", "bloom-560m", "mixtral-8x7b", "olmoe-1b-7b")


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_layer_adds_the_same(name: str, method: str) -> None:
    model = find_model(name)
    workload = Workload(method=method, sequence_length=512)  # type: ignore[arg-type]
    plan = Plan(quantization="bf16", gradient_checkpointing="none", optimizer="adamw_torch")
    step = [estimate_training(cut(model, n), workload, plan, recipe("transformers-peft")) for n in (4, 5, 6)]
    head = [top(e, "loss_backward") for e in step]
    # Tensors are rounded up to 512 bytes, blocks of gradients to one total.
    assert head[2] - head[1] == pytest.approx(head[1] - head[0], abs=4096)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(UNIFORM), st.integers(1, 8), st.integers(1, 1000), st.sampled_from(["full", "none"]))
def test_a_longer_sequence_never_needs_less(name: str, batch: int, length: int, checkpointing: str) -> None:
    model = cut(find_model(name), 3)

    def peak(tokens: int) -> int:
        workload = Workload(method="lora", sequence_length=tokens, micro_batch_size=batch)
        plan = Plan(quantization="bf16", gradient_checkpointing=checkpointing)  # type: ignore[arg-type]
        return top(estimate_training(model, workload, plan, recipe("transformers-peft")))

    assert peak(length) <= peak(length + 16)


UNTRACED = ("mamba2-2.7b", "granite-4.0-h-tiny", "llama-4-scout", "deepseek-v3.2", "gemma-3n-e4b", "bitnet-b1.58-2b-4t")


@pytest.mark.parametrize("name", UNTRACED)
def test_layers_without_a_trace_are_refused(name: str) -> None:
    with pytest.raises(NotModelled, match="no evidence"):
        estimate_training(find_model(name), Workload(method="lora"), Plan(), recipe("transformers-peft"))


def test_falcon_stays_unquantised_in_transformers_5() -> None:
    asked = Workload(method="qlora"), Plan(quantization="nf4_double")
    with pytest.raises(NotModelled, match="unquantised"):
        estimate_training(find_model("falcon-7b"), *asked, recipe("transformers-peft"))
    assert estimate_training(find_model("falcon-7b"), *asked, recipe("trl-0.11")).peak.allocated_bytes.mid > 0


@pytest.mark.parametrize(("method", "dropout"), [("lora", 0.05), ("dora", 0.0)])
def test_adapters_that_peft_refuses_on_stacked_experts(method: str, dropout: float) -> None:
    model, stack = find_model("mixtral-8x7b"), recipe("transformers-peft")
    workload = Workload(method=method)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="stacked experts"):
        estimate_training(model, workload, Plan(quantization="bf16", lora_dropout=dropout), stack)
    attention = Plan(quantization="bf16", lora_dropout=dropout, target_modules=("q_proj", "v_proj"))
    assert estimate_training(model, workload, attention, stack).peak.allocated_bytes.mid > 0
