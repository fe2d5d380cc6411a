"""How llama.cpp is started: the options that decide its memory, by its own names.

The defaults are those of ``llama-server`` v0.5.0 (``common/common.h``, ``common/arg.cpp``).
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.stored_tensor import StoredTensor

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
SplitMode = Literal["none", "layer", "row"]
FlashAttention = Literal["auto", "on", "off"]

ALL_LAYERS = -1
"""Every layer on GPUs."""
CONTEXT_PADDING = 256
"""Cells of a cache are rounded up to a multiple of this."""


@dataclass(frozen=True, slots=True)
class LoraPair:
    """Down and up of one weight in the file of an adapter."""

    weight: str
    """Name of the weight in the file of the model."""
    a: StoredTensor
    b: StoredTensor


@dataclass(frozen=True, kw_only=True)
class LoraAdapter:
    """An adapter applied at run time: one that was read, or one that is foreseen by its rank."""

    r: int = 16
    target_modules: tuple[str, ...] = ("attn_q", "attn_v")
    """Names of GGUF: attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down."""
    type: Literal["F32", "F16"] = "F16"
    """Of a foreseen one: the converter writes F32 unless it is told otherwise."""
    pairs: tuple[LoraPair, ...] = ()
    """What its file holds, in place of rank, targets and type; empty: no file was read."""


@dataclass(frozen=True, kw_only=True)
class LlamaCppOptions:
    """One start of llama.cpp."""

    n_ctx: int = 4096
    """-c: cells of the cache, over all slots [tokens]."""
    n_batch: int = 2048
    """-b: tokens of one logical batch."""
    n_ubatch: int = 512
    """-ub: tokens that are computed together."""
    n_parallel: int = 1
    """-np: slots."""
    kv_unified: bool = False
    """--kv-unified: the slots share one cache; False: each has its part."""
    n_gpu_layers: int = ALL_LAYERS
    """-ngl: the last so many layers, the output layer counted as one; -1: all."""
    graph: Literal["2026", "2025"] = "2026"
    """How the build writes its graph. 2025: the attention mask is made in 32 bits and cast for flash attention, and the
    output layer is the last that a GPU gets instead of the first."""
    split_mode: SplitMode = "layer"
    """-sm: whole layers per GPU, or each matrix cut by rows."""
    tensor_split: tuple[float, ...] = ()
    """-ts: shares of the GPUs; empty: by their free memory."""
    main_gpu: int = 0
    """-mg: the GPU of --split-mode none, and of the small tensors with row."""
    num_gpus: int = 1
    """Visible GPUs; 0: a build for the processor alone."""
    n_cpu_moe: int = 0
    """--n-cpu-moe: experts of the first so many layers stay in system memory."""
    cpu_moe: bool = False
    """--cpu-moe: all experts stay in system memory."""
    override_tensor: tuple[tuple[str, str], ...] = ()
    """-ot: regular expression on tensor names, and CPU or CUDA0, CUDA1 ...; the first match counts."""
    flash_attn: FlashAttention = "auto"
    """-fa: auto uses it where the card has a kernel for the head size and cache type."""
    cache_type_k: CacheType = "f16"
    """-ctk."""
    cache_type_v: CacheType = "f16"
    """-ctv; a quantised one needs flash attention."""
    kv_offload: bool = True
    """False (--no-kv-offload): the cache stays in system memory."""
    op_offload: bool = True
    """False (--no-op-offload): products with weights in system memory are computed there, whatever the batch."""
    swa_full: bool = False
    """--swa-full: layers with a sliding window keep the whole context."""
    outputs: Literal["slots", "batch"] = "slots"
    """Rows of logits that are reserved: one per slot (server since June 2026), or a whole batch (before, and tools)."""
    n_draft: int = 0
    """Tokens that a draft model proposes at once: so many more rows of logits per slot."""
    loras: tuple[LoraAdapter, ...] = ()
    """Adapters that are loaded beside the model."""
