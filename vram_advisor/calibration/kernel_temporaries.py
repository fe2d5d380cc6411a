"""Buffers that kernels allocate for themselves, which no dispatch shows: one row per operator (torch).

Not in the table: the fp32 sums of the backward pass of memory-efficient attention, index buffers of the embedding's
gradient, workspaces of cuBLAS. The closed form leaves them out too or counts them apart.
"""

from collections.abc import Callable
from typing import Any

import torch

Sizes = list[int]
"""Bytes of the buffers alive while the operator runs, beside its output [B]."""

FUSED_ROWS = 512
"""Rows up to which bitsandbytes multiplies without a 16-bit copy of the weight; it depends on the GPU between 5 and
1536 rows (bitsandbytes backends/cuda/ops.py _gemm_4bit_use_custom_cuda)."""


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def _flash_backward(args: Any, kwargs: Any) -> Sizes:
    """fp32 sums of the query's gradient, sums of the softmax, gradients of repeated keys and values.

    Source: flash-attn csrc/flash_attn/flash_api.cpp mha_bwd, and its copy in ATen native/transformers/cuda/flash_attn.
    """
    query, key = args[1], args[2]
    batch, heads, length, width = query.shape
    rows = batch * heads * _up(length, 128)
    sizes = [4 * rows, 4 * rows * _up(width, 32 if width <= 128 else 64)]
    if key.shape[1] != heads:
        sizes += 2 * [batch * key.shape[2] * heads * width * query.element_size()]
    return sizes


def _multiply_4bit(args: Any, kwargs: Any) -> Sizes:
    """A 16-bit copy of the weight, and its scales: twice in fp32 where they are quantised themselves.

    Source: bitsandbytes backends/cuda/ops.py _dequant_linear_fallback.
    """
    x, shape, block = args[0], args[2], args[4]
    if x.numel() // x.shape[-1] <= FUSED_ROWS:
        return []
    numel = shape[0] * shape[1]
    nested = kwargs.get("absmax_8bit") is not None
    return [numel * x.element_size()] + (2 * [4 * (numel // block)] if nested else [])


def _quantise_8bit(args: Any, kwargs: Any) -> Sizes:
    """Magnitudes in fp16 and the mask of outliers (bitsandbytes backends/cuda/ops.py int8_vectorwise_quant)."""
    numel = args[0].numel()
    return [2 * numel, numel]


def _multiply_8bit(args: Any, kwargs: Any) -> Sizes:
    """The product in int32, and in fp16 where another type is asked for (bitsandbytes _ops.py int8_scaled_mm)."""
    numel = args[0].numel() // args[0].shape[-1] * args[1].shape[0]
    return [4 * numel] + ([2 * numel] if (kwargs.get("dtype") or torch.float16) is not torch.float16 else [])


def _promoted(args: Any, kwargs: Any) -> Sizes:
    """Operands of another type than the result's: the processor copies them, a GPU casts inside of the kernel.

    Source: ATen TensorIterator.cpp compute_types, cast_common_dtype_to_outputs.
    """
    tensors = [t for t in args[:2] if isinstance(t, torch.Tensor) and t.numel() > 1]
    if len(tensors) < 2 or tensors[0].dtype == tensors[1].dtype:
        return []
    common = torch.promote_types(tensors[0].dtype, tensors[1].dtype)
    return [t.numel() * common.itemsize for t in tensors if t.dtype != common]


def _safe_softmax(args: Any, kwargs: Any) -> Sizes:
    """Which scores are masked: rows without a key are zeroed (ATen attention.cpp)."""
    return [args[0].numel()]


Table = dict[str, Callable[[Any, Any], Sizes]]
GPU: Table = {
    "aten::_safe_softmax": _safe_softmax,
    "aten::_scaled_dot_product_flash_attention_backward": _flash_backward,
    "bitsandbytes::gemm_4bit": _multiply_4bit,
    "bitsandbytes::int8_vectorwise_quant": _quantise_8bit,
    "bitsandbytes::int8_scaled_mm": _multiply_8bit,
}
PROCESSOR: Table = {"aten::add": _promoted, "aten::mul": _promoted, "aten::sub": _promoted, "aten::div": _promoted}
