"""Rows of a ledger of generation and prompt speeds, as predictions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.training_rows import text_model
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies
from vram_advisor.domain.gguf_file import file_type_named, gguf_tensors
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import QUANTIZATIONS, quantization
from vram_advisor.domain.throughput import Speed
from vram_advisor.sources.catalog_gpus import find_gpu, list_gpus
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.throughput.decode import Runtime, decode_speed
from vram_advisor.throughput.prefill import prefill_speed
from vram_advisor.throughput.stored import Stored, stored, stored_gguf
from vram_advisor.units.errors import AdvisorError, BadInput

Row = Mapping[str, str]

GENERATED = 128
"""Tokens of a generation that is not stated."""
UNSLOTH = {"UD-Q3_K_XL": "Q3_K_L", "UD-Q4_K_XL": "Q4_K_M", "UD-Q6_K_XL": "Q6_K"}
"""File types whose tensors are chosen one by one, and the nearest that are described by rules."""
UBATCH = 512


def speed_row(
    row: Row, efficiencies: Efficiencies = EFFICIENCIES, coefficients: Coefficients = NOMINAL
) -> Speed | Refusal:
    """The predicted speed of a row, or why it is refused."""
    reason = refused(row)
    if reason is not None:
        return Refusal(row["id"], reason)
    try:
        model, gpu = model_named(row["model"]), card(row["gpu"])
        weights, runtime = weights_of(row, model), runtime_of(row)
    except AdvisorError as error:
        return Refusal(row["id"], str(error))
    gpus = int(row["num_gpus"] or 1)
    if row["test"] == "decode":
        context = float(row["context_depth"] or 0) + float(row["generated_tokens"] or GENERATED) / 2
        found = decode_speed(
            model, gpu, weights, runtime, context=context, gpus=gpus, efficiencies=efficiencies,
            coefficients=coefficients,
        )  # fmt: skip
    else:
        found = prefill_speed(
            model, gpu, weights, runtime, prompt=int(row["prompt_tokens"]), gpus=gpus, efficiencies=efficiencies,
            coefficients=coefficients, ubatch=2048 if "ubatch 2048" in row["notes"] else UBATCH,
        )  # fmt: skip
    return found or Refusal(row["id"], f"the catalogue lacks the rates of {row['gpu']}")


def refused(row: Row) -> str | None:
    """Why a row is outside of what is modelled."""
    if row["test"] not in ("decode", "prefill"):
        return f"test {row['test']} is not modelled"
    if "implausible outlier" in row["notes"]:
        return "an outlier that its source itself doubts"
    if "multi-token prediction" in row["notes"]:
        return "generation with multi-token prediction is not modelled"
    if row["test"] == "prefill" and not row["prompt_tokens"]:
        return "the length of the prompt is not stated"
    return None


def quality_of(row: Row) -> str:
    """A: all that the speed depends on is stated; B: the length of the generation is not."""
    return "B" if row["test"] == "decode" and not row["generated_tokens"] else "A"


@lru_cache(maxsize=64)
def model_named(name: str) -> ModelSpec:
    """The text part of a model of the catalogue.

    Raises:
        BadInput: no such model.
    """
    return text_model(find_model(name))


@lru_cache(maxsize=64)
def card(name: str) -> GpuSpec:
    """A card by its id; a chip that is sold with several memory sizes is as fast with each."""
    try:
        return find_gpu(name)
    except BadInput:
        for gpu in list_gpus():
            if gpu.id.startswith(f"{name}-") and gpu.id.endswith("gb"):
                return gpu
        raise


def runtime_of(row: Row) -> Runtime:
    """The program by its habits."""
    if row["runtime"] == "transformers":
        return "fused" if "fused modules" in row["notes"] else "transformers"
    return "vllm" if row["runtime"] == "vllm" else "llama.cpp"


def weights_of(row: Row, model: ModelSpec) -> Stored:
    """The weights as the row stores them.

    Raises:
        BadInput: no such file type or quantization.
    """
    name = row["quantization"]
    if row["runtime"] == "transformers":
        lower = "bf16" if name in ("none", "BF16") else name
        return stored(model, quantization(lower if lower in QUANTIZATIONS else name), linear_experts=True)
    return gguf_weights(model, file_type_named(UNSLOTH.get(name, name)))


@lru_cache(maxsize=64)
def gguf_weights(model: ModelSpec, file_type: str) -> Stored:
    """The weights of a file that is not there."""
    return stored_gguf(gguf_tensors(model, file_type))
