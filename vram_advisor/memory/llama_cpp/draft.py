"""Speculative decoding with a draft model: a second start of llama.cpp beside the first, in the same process.

The draft keeps a cache of its own for the same context and slots, in 16 bits whatever the target's type; the target
reserves logits for every drafted token. Source: llama.cpp v0.5.0 ``common/speculative.cpp``
(common_base_params_to_speculative, common_speculative_get_output_limits), ``common/common.h`` (n_max 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.llama_cpp import ALL_LAYERS, CacheType, LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.start import DRAFTED
from vram_advisor.units.errors import BadInput, NotModelled

MOST_DIFFERENT = 128
"""Entries by which two vocabularies may differ (SPEC_VOCAB_MAX_SIZE_DIFFERENCE)."""


def drafting(options: LlamaCppOptions, drafted: int = DRAFTED) -> LlamaCppOptions:
    """The start of the target."""
    return replace(options, n_draft=drafted)


def draft_options(
    target: LlamaCppOptions,
    n_gpu_layers: int = ALL_LAYERS,
    cache_type_k: CacheType = "f16",
    cache_type_v: CacheType = "f16",
) -> LlamaCppOptions:
    """The start of the draft model: the target's, less what names its weights."""
    return replace(
        target,
        n_gpu_layers=n_gpu_layers,
        n_cpu_moe=0,
        cpu_moe=False,
        override_tensor=(),
        cache_type_k=cache_type_k,
        cache_type_v=cache_type_v,
        outputs="slots",
        n_draft=0,
        loras=(),
    )


def draft_memory(
    target: ModelSpec,
    model: ModelSpec,
    tensors: Sequence[StoredTensor],
    options: LlamaCppOptions,
    n_gpu_layers: int = ALL_LAYERS,
    cache_type_k: CacheType = "f16",
    cache_type_v: CacheType = "f16",
) -> LlamaCppMemory:
    """All buffers of the draft model beside a target.

    Args:
        options: those of the target.

    Raises:
        BadInput: the two models have different vocabularies, or as for ``llama_cpp_memory``.
        NotModelled: the target keeps states of fixed size, whose copies for rolling back are not counted here.
    """
    if any(block.state for block in target.blocks):
        raise NotModelled(f"A draft model for {target.id} is not modelled: its states are copied to be rolled back.")
    if abs(target.vocab_size - model.vocab_size) > MOST_DIFFERENT:
        raise BadInput(
            f"{model.id} cannot draft for {target.id}: their vocabularies have {model.vocab_size:,} and "
            f"{target.vocab_size:,} entries. Use a small model of the same family."
        )
    return llama_cpp_memory(model, tensors, draft_options(options, n_gpu_layers, cache_type_k, cache_type_v))
