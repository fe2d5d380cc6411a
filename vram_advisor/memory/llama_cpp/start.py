"""From workload, plan and runtime to a start of llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gguf_file_types import BASE
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.serving import GgufServing
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.ollama import batch_size, refuse
from vram_advisor.units.errors import BadInput, NotModelled

PLAIN = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "mxfp4": "MXFP4_MOE"}
"""File types by the names that other runtimes give the format."""
DRAFTED = 3
"""--spec-draft-n-max: tokens that are drafted at once where nothing else is asked for."""
CACHE_TYPES = {"fp16": "f16"}
"""Cache types by the names that other runtimes give them."""


def file_type(plan: Plan) -> str:
    """The file type of llama.cpp that a quantization means.

    Raises:
        NotModelled: a format that llama.cpp does not read.
    """
    name = plan.quantization or "q4_k_m"
    found = PLAIN.get(name, name.upper())
    if found not in BASE:
        raise NotModelled(f"llama.cpp reads no {name} weights: use --quantization Q4_K_M, Q8_0 or F16.")
    return found


@lru_cache(maxsize=256)
def file_tensors(model: ModelSpec, type_name: str) -> tuple[StoredTensor, ...]:
    """The weights as the file holds them: of the file that was read, else foreseen."""
    return gguf_tensors(model, type_name)


def weights_of(model: ModelSpec, plan: Plan) -> Sequence[StoredTensor]:
    """The tensors of the file."""
    return model.stored_tensors or file_tensors(model, file_type(plan))


def cache_type(name: str | None) -> str:
    """A cache type by llama.cpp's name.

    Raises:
        BadInput: llama.cpp has no such type.
    """
    found = CACHE_TYPES.get(name or "f16", name or "f16")
    if found in ("fp8", "int8", "int4"):
        raise BadInput(f"llama.cpp keeps no cache in {found}: use q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl, bf16 or f16.")
    return found


def start_of(
    model: ModelSpec,
    workload: Workload,
    plan: Plan,
    row: GgufServing,
    tensors: Sequence[StoredTensor],
    device: Device | None,
) -> LlamaCppOptions:
    """The options of a start.

    Raises:
        BadInput: an option that llama.cpp does not have, or two that contradict each other.
    """
    if plan.offload != "none":
        raise BadInput("llama.cpp keeps layers in system memory by --n-gpu-layers or --n-cpu-moe, not by --offload.")
    if plan.sharding != "none":
        raise BadInput("--sharding is for training; llama.cpp splits a model by --split-mode and --num-gpus.")
    sequences = workload.num_sequences
    slots = plan.n_parallel or max(sequences, row.slots)
    context = workload.context_length * sequences
    ubatch = row.n_ubatch
    batch = row.n_batch
    if row.runtime == "ollama":
        refuse(model, plan, slots)
        # Each slot gets the whole context.
        context = workload.context_length * slots
    if row.batch_by_context:
        flash = plan.flash_attn != "off"
        batch = ubatch = batch_size(model, sum(t.nbytes for t in tensors), context, device, flash)
    ubatch = plan.n_ubatch or (min(ubatch, plan.n_batch) if plan.n_batch else ubatch)
    return LlamaCppOptions(
        n_ctx=context,
        n_batch=max(plan.n_batch or batch, ubatch),
        n_ubatch=ubatch,
        n_parallel=slots,
        kv_unified=slots == 1 or (plan.kv_unified and row.unified),
        n_gpu_layers=-1 if plan.n_gpu_layers is None else plan.n_gpu_layers,
        split_mode=plan.split_mode,
        tensor_split=plan.tensor_split,
        num_gpus=plan.num_gpus,
        n_cpu_moe=plan.n_cpu_moe,
        cpu_moe=plan.cpu_moe,
        override_tensor=tuple(override(text) for text in plan.override_tensor),
        flash_attn=plan.flash_attn or "auto",
        cache_type_k=cache_type(plan.cache_type_k),  # type: ignore[arg-type]
        cache_type_v=cache_type(plan.cache_type_v),  # type: ignore[arg-type]
        kv_offload=plan.kv_offload,
        swa_full=plan.swa_full or row.swa_full,
        outputs=row.outputs,
        n_draft=0 if model.draft is None else (DRAFTED if plan.spec_draft_n_max is None else plan.spec_draft_n_max),
        loras=model.adapters,
        graph=row.graph,
    )


def override(text: str) -> tuple[str, str]:
    """A pattern and a device of ``-ot PATTERN=DEVICE``."""
    pattern, equals, device = text.rpartition("=")
    if not equals or not pattern or not device:
        raise BadInput(f"--override-tensor {text}: expected PATTERN=DEVICE, such as exps=CPU.")
    return pattern, device
