"""Rows of a ledger of inference runs of PyTorch programs, as the runs that they could mean.

A total is the sum over the GPUs of a row. What a source does not state becomes several cases with weights: never one
silent guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vram_advisor.accuracy.case import Case, Refusal
from vram_advisor.accuracy.training_rows import text_model
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe, recipe
from vram_advisor.domain.serving import SERVING
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import BadInput

Row = Mapping[str, str]

SHORT_PROMPTS = (8, 32)
"""Tokens of a prompt that a source calls short, or does not state beside what it generated."""
SHORT_GENERATIONS = (32, 128)
"""Tokens of a generation that a source calls short."""
POSITIONS = {"qwen2-0.5b": 32768, "qwen2-1.5b": 32768, "qwen2-7b": 32768, "qwen2-72b": 32768, "qwen2-57b-a14b": 32768}
"""Positions of the chat versions that were measured where the row is filed under a base model with more of them
(their config.json: max_position_embeddings)."""


def cases(row: Row) -> list[Case] | Refusal:
    """The runs that a row could mean, with weights that sum to one, or why it is refused."""
    reason = refused(row)
    if reason is not None:
        return Refusal(row["id"], reason)
    try:
        return meant(row)
    except BadInput as error:
        return Refusal(row["id"], str(error))


def refused(row: Row) -> str | None:
    """Why a row is outside of what is modelled."""
    if row["weights_host_bytes"]:
        return "inference with weights in host memory is not modelled"
    if row["quantization"] == "int4":
        return "4-bit weights of a model's own code are not modelled"
    if row["cache_type_k"] in ("int8", "int4"):
        return "an int8 cache of a model's own code is not modelled"
    if row["source"] == "deepseek-llm-readme" and int(row["num_gpus"] or 1) > 1:
        return "tensor parallelism of a program that is not named is not modelled"
    return None


def meant(row: Row) -> list[Case]:
    """Every combination of what the row leaves open, equally likely."""
    spec = text_model(find_model(row["model"]))
    if spec.id in POSITIONS and "4.38" in row["runtime_version"]:
        spec = replace(spec, max_position_embeddings=POSITIONS[spec.id])
    gpus = int(row["num_gpus"] or 1)
    device = device_of(row, gpus)
    choices = [(w, p, r) for w in workloads(row) for p in plans(row, gpus) for r in recipes(row)]
    return [Case(1 / len(choices), spec, w, p, r, device, sum_over=gpus) for w, p, r in choices]


def device_of(row: Row, gpus: int) -> Device | None:
    """The card of the row; None where it is not stated or not in the catalogue."""
    if not row["gpu"]:
        return None
    try:
        return device_from_spec(find_gpu(row["gpu"]), gpus, "linux")
    except BadInput:
        return None


def workloads(row: Row) -> list[Workload]:
    """Prompts and contexts that the row could mean."""
    sequences = int(row["parallel"] or 1)
    prompt, generated, context = (
        int(row[name] or 0) for name in ("prompt_tokens", "generated_tokens", "context_length")
    )
    if prompt:
        # Where the generated length is not stated either, the prompt alone is counted.
        pairs = [(prompt, max(context, prompt + generated))]
    elif context:
        # Cells without a stated prompt were filled one by one, from a prompt that is not stated.
        pairs = [(min(short, context), context) for short in SHORT_PROMPTS]
    else:
        lengths = (generated,) if generated else SHORT_GENERATIONS
        pairs = [(short, short + more) for short in SHORT_PROMPTS for more in lengths]
    return [Workload(context_length=c, prompt_length=p, num_sequences=sequences) for p, c in pairs]


def plans(row: Row, gpus: int) -> list[Plan]:
    """Storage, attention and runtime of the row; attention that is not stated is a fused kernel or written out."""
    quantization = row["weights_dtype"] or "bf16" if row["quantization"] == "none" else row["quantization"]
    if row["runtime"] == "vllm":
        return [Plan(quantization=quantization, runtime="vllm", num_gpus=gpus)]
    stated = row["flash_attention"] == "on" or row["runtime"] == "litgpt"
    attentions = ("flash_attention_2",) if stated else ("sdpa", "eager")
    dtype = row["weights_dtype"] or None
    return [
        Plan(quantization=quantization, weights_dtype=dtype, attn_implementation=attention, num_gpus=gpus)  # type: ignore[arg-type]
        for attention in attentions
    ]


def recipes(row: Row) -> list[Recipe]:
    """The program that ran, by its version; one that is not stated is of 2023, when these sources wrote."""
    if row["runtime"] == "litgpt":
        return [recipe("litgpt")]
    if row["runtime"] == "vllm":
        return [recipe("transformers-peft")]
    era = "transformers-4.46" if "4.46" in row["runtime_version"] else "transformers-4.38"
    habits = SERVING[era]
    return [Recipe(habits.name, habits.title, habits.versions, habits.evidence, habits.source)]
