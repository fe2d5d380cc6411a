"""What a process of llama.cpp takes of a GPU beside its buffers: the CUDA context, and the pool of its kernels.

The pool holds the activations in the form that quantised products read them and grows to the largest of them; it is
allocated in steps of 2 MiB and never given back. Source: llama.cpp v0.5.0 ``ggml/src/ggml-cuda/mmq.cu``,
``ggml-cuda.cu`` (ggml_cuda_pool_vmm).
"""

from __future__ import annotations

import math

from vram_advisor.domain.coefficients import Coefficient
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.overhead import TYPICAL_SM_COUNT
from vram_advisor.units.bytes import MIB

_CONTEXTS = "llama.cpp pull request 23604 (RTX 4060 Ti 107 MiB, RTX PRO 6000 555 MiB), a server with two A40 (298 MiB)"
CONTEXT_BASE = Coefficient(23.0, 45.0, "MiB", _CONTEXTS)
CONTEXT_PER_SM = Coefficient(2.9, 0.0, "MiB per multiprocessor", _CONTEXTS)
POOL_BASE = Coefficient(32.0, 24.0, "MiB", "read in source: split reductions of attention, sorting, cuBLAS")
POOL_SHARE = Coefficient(1.125, 0.5, "B per activation", "read in source: block_q8_1, 36 B for 32 numbers")
NO_CARD_SD = 130.0
"""Spread of the context where no card is named [MiB]."""


def context_bytes(device: Device | None) -> tuple[float, float]:
    """CUDA context of one process: mean and standard deviation [B]."""
    count = device.sm_count if device is not None and device.sm_count else None
    mean = CONTEXT_BASE.value + CONTEXT_PER_SM.value * (count or TYPICAL_SM_COUNT)
    return mean * MIB, (CONTEXT_BASE.sd if count else NO_CARD_SD) * MIB


def pool_bytes(model: ModelSpec, tokens: int) -> tuple[float, float]:
    """The pool of the kernels after a full batch: mean and standard deviation [B]."""
    widest = model.hidden_size
    for block in model.blocks:
        if block.mlp is not None:
            widest = max(widest, block.mlp.intermediate_size)
        if block.experts is not None:
            widest = max(widest, block.experts.num_experts_per_tok * block.experts.moe_intermediate_size)
    copies = POOL_SHARE.value * tokens * widest
    return POOL_BASE.value * MIB + copies, math.hypot(POOL_BASE.sd * MIB, copies * POOL_SHARE.sd / POOL_SHARE.value)
