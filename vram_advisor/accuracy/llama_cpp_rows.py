"""Rows of ledgers that llama.cpp printed, as the starts that they could mean, and their figures.

Figures are sums over all GPUs. What a row does not state becomes several starts with equal weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.training_rows import text_model
from vram_advisor.domain.estimate import Interval
from vram_advisor.domain.gguf_file_types import BASE
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.overhead import context_bytes, pool_bytes
from vram_advisor.memory.llama_cpp.parts import OTHER_BUILDS
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.memory.numbers import Q90
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import BadInput

Row = Mapping[str, str]

GGUF_PROGRAMS = frozenset(("llama.cpp", "ik_llama.cpp", "ollama", "lm_studio", "koboldcpp"))
FORK = "ik_llama.cpp"
"""Its compute buffers are its own."""
LAST_WITH_ALL_LOGITS = 9300
"""Last build that reserves logits for a whole batch in the server."""
FIRST_OF_2026 = 7600
"""First build of January 2026."""
FIRST_WITH_AUTO = 6325
"""First build that uses flash attention by itself."""
PRINTED = 5243
"""Half of the last digit of a log, which gives MiB with two decimals [B]."""
ANY_TYPE = "Q4_K_M"
"""File type where a row names none that is known: weights are not scored then."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One start that a row could mean."""

    model: ModelSpec
    options: LlamaCppOptions
    file_type: str
    knows_weights: bool
    device: Device | None


def figures_of(row: Row, kind: str) -> list[tuple[float, dict[str, Interval]]] | Refusal:
    """Figures by meter of every start that a row could mean, or why it is refused."""
    reason = refused(row)
    if reason is not None:
        return Refusal(row["id"], reason)
    try:
        starts = list(planned(row) if kind == "llamacpp_buffers" else meant(row))
    except BadInput as error:
        return Refusal(row["id"], str(error))
    if not starts:
        return Refusal(row["id"], "the length of its context is not stated")
    return [(1 / len(starts), figures(row, start)) for start in starts]


def refused(row: Row) -> str | None:
    """Why a row is outside of what is modelled."""
    if "Metal" in row["notes"] or "Metal" in row["gpu"]:
        return "buffers of llama.cpp under Metal are not modelled"
    if "RPC" in row["gpu"]:
        return "llama.cpp over several hosts is not modelled"
    return None


@lru_cache(maxsize=64)
def model_named(name: str) -> ModelSpec:
    """The text model of a row."""
    return text_model(find_model(name))


def planned(row: Row) -> Iterator[Meant]:
    """A plan of llama.cpp itself states everything."""
    flash = row["flash_attention"]
    options = LlamaCppOptions(
        n_ctx=int(row["context_length"]),
        n_ubatch=int(row["ubatch"]),
        n_parallel=int(row["parallel"]),
        kv_unified=row["kv_unified"] == "yes",
        flash_attn="on" if flash == "on" else "off",
        cache_type_k=row["cache_type_k"],  # type: ignore[arg-type]
        cache_type_v=row["cache_type_v"],  # type: ignore[arg-type]
        outputs="batch" if row["outputs"] == "all" else "slots",
    )
    yield Meant(model_named(row["model"]), options, row["file_type"], True, None)


def meant(row: Row) -> Iterator[Meant]:
    """Every combination of what a log leaves open."""
    if not row["context_length"]:
        return
    model = model_named(row["model"])
    file_type = row["quantization"] if row["quantization"] in BASE else ANY_TYPE
    parallel = int(row["parallel"] or 1)
    batch, ubatch = int(row["batch"] or 2048), int(row["ubatch"] or 512)
    layers = -1 if row["gpu_layers"] in ("all", "") else int(row["gpu_layers"])
    gpus = int(row["num_gpus"] or 1)
    latent = any(block.attention and block.attention.kind == "mla" for block in model.blocks)
    type_k = row["cache_type_k"] or "f16"
    flash = (row["flash_attention"],) if row["flash_attention"] else attentions_of(row)
    for attention in flash:
        for outputs in outputs_of(row):
            options = LlamaCppOptions(
                n_ctx=int(row["context_length"]),
                n_batch=max(batch, ubatch),
                n_ubatch=ubatch,
                n_parallel=parallel,
                kv_unified=parallel > 1,
                n_gpu_layers=layers,
                num_gpus=gpus,
                flash_attn="on" if attention == "on" else "off",
                cache_type_k=type_k,  # type: ignore[arg-type]
                cache_type_v=type_k if latent else type_v(row, attention),  # type: ignore[arg-type]
                swa_full="full context" in row["notes"],
                outputs=outputs,  # type: ignore[arg-type]
                graph=graph_of(row),  # type: ignore[arg-type]
            )
            yield Meant(model, options, file_type, row["quantization"] in BASE, device_of(row, gpus))


def type_v(row: Row, attention: str) -> str:
    """The type of values; quantised ones need flash attention."""
    return (row["cache_type_v"] if attention == "on" else "") or "f16"


def outputs_of(row: Row) -> tuple[str, ...]:
    """Rows of logits by the age of the build; both where it is not known."""
    build = re.match(r"b?(\d{4,5})\b", row["runtime_version"])
    if build:
        return ("batch",) if int(build[1]) <= LAST_WITH_ALL_LOGITS else ("slots",)
    date = row["date"]
    if "late-2026" in row["runtime_version"] or date > "2026-07":
        return ("slots",)
    old = row["runtime"] == FORK or "2025" in row["runtime_version"] or "2024" in row["runtime_version"]
    return ("batch",) if old or (date and date < "2026") else ("batch", "slots")


def graph_of(row: Row) -> str:
    """How the build wrote its graph, by its age."""
    build = re.match(r"b?(\d{4,5})\b", row["runtime_version"])
    if build:
        return "2025" if int(build[1]) < FIRST_OF_2026 else "2026"
    return "2026" if "2026" in row["runtime_version"] or row["date"] > "2026" else "2025"


def attentions_of(row: Row) -> tuple[str, ...]:
    """Flash attention by the age of the build: automatic since September 2025."""
    build = re.match(r"b(\d{4,5})\b", row["runtime_version"])
    new = "2026" in row["runtime_version"] or row["date"] > "2025-09" or (build and int(build[1]) > FIRST_WITH_AUTO)
    return ("on",) if new or "flash attention auto" in row["notes"] else ("on", "off")


def device_of(row: Row, gpus: int) -> Device | None:
    """The card of the row; None where it is not stated or not in the catalogue."""
    try:
        return device_from_spec(find_gpu(row["gpu"]), max(1, gpus), "linux") if row["gpu"] else None
    except BadInput:
        return None


def figures(row: Row, start: Meant) -> dict[str, Interval]:
    """Figures by meter; what the row does not determine is left out."""
    memory = llama_cpp_memory(start.model, file_tensors(start.model, start.file_type), start.options)
    gpus = memory.gpus
    placed = row["gpu_layers"] != "" or not row["quantization"]
    found = {}
    if row["gpu_layers"] or not row["cache_host_bytes"].strip("0"):
        found["cache_gpu"] = printed(row, sum(b.cache for b in gpus))
    if row["runtime"] != FORK:
        compute = sum(b.compute for b in gpus)
        found["compute_gpu"] = spread(compute, OTHER_BUILDS * compute)
    weights = sum(b.model for b in gpus)
    if start.knows_weights and placed:
        found["weights_gpu"] = printed(row, weights)
    elif row["weights_gpu_bytes"]:
        # Of a file that nobody names the log gives the weights, as its header would.
        weights = int(float(row["weights_gpu_bytes"]))
    else:
        return found
    if row["runtime"] != FORK:
        found |= with_weights(memory, start, weights)
    return found


def with_weights(memory: LlamaCppMemory, start: Meant, weights: int) -> dict[str, Interval]:
    """Figures that the weights are part of.

    Args:
        weights: on all GPUs [B].
    """
    compute = sum(b.compute for b in memory.gpus)
    own = weights + sum(b.cache + b.compute for b in memory.gpus)
    context, context_sd = context_bytes(start.device)
    pool, pool_sd = pool_bytes(start.model, memory.sizes.n_tokens)
    count = max(1, len(memory.gpus))
    sd = OTHER_BUILDS * compute
    outside = (context_sd**2 + pool_sd**2 + sd**2) ** 0.5 * count
    return {
        "total_gpu": spread(own, sd),
        "self": spread(own, sd),
        "process": spread(int(own + count * (context + pool)), outside),
    }


def printed(row: Row, nbytes: int) -> Interval:
    """A counted number, as exact as the row says it."""
    slack = PRINTED if row.get("notes") is not None else 0
    return Interval(nbytes - slack, nbytes, nbytes + slack)


def spread(nbytes: int, sd: float) -> Interval:
    """The 90 % interval of a number."""
    return Interval(max(0, int(nbytes - Q90 * sd)), nbytes, int(nbytes + Q90 * sd))
