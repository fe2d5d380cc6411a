"""Weights as blocks of PyTorch's caching allocator, where each is an allocation of its own.

A block of more than 1 MiB is split only where more than 1 MiB would be left, and an unsplit block counts whole as
allocated. Segments are 20 MiB for blocks below 10 MiB, else rounded up to 2 MiB
(torch ``c10/cuda/CUDACachingAllocator.cpp``: kSmallSize, kLargeBuffer, kMinLargeAlloc, kRoundLarge). Where all weights
are cut from one block that was allocated before (transformers since 4.50), nothing is lost.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from functools import lru_cache

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.tensors import Tensor, tensors
from vram_advisor.memory.weights import is_quantised
from vram_advisor.units.bytes import MIB
from vram_advisor.units.grid import ceil_div

UNSPLIT = MIB
"""A remainder of at most this much is not split off [B]."""


@lru_cache(maxsize=256)
def unsplit_bytes(model: ModelSpec, fmt: Quantization, itemsize: int, linear_experts: bool) -> int:
    """What whole blocks take beyond the weights in them when the weights are allocated one by one [B]."""
    free: list[int] = []
    lost = 0
    for size in allocations(model, fmt, itemsize, linear_experts):
        if size <= UNSPLIT:
            continue
        at = bisect_left(free, size)
        if at < len(free):
            block = free.pop(at)
        elif size < 10 * MIB:
            block = 20 * MIB
        else:
            block = int(ceil_div(size, 2 * MIB)) * 2 * MIB
        rest = block - size
        if rest > UNSPLIT:
            insort(free, rest)
        else:
            lost += rest
    return lost


def allocations(model: ModelSpec, fmt: Quantization, itemsize: int, linear_experts: bool) -> Iterator[int]:
    """Sizes of all weights in the order of the model, rounded up to 512 [B]."""
    listed = tensors(model)
    for tensor in listed:
        if tensor.block is None and tensor.role != "head":
            yield from pieces(tensor, fmt, itemsize, linear_experts)
    for kind in model.layer_kinds:
        for tensor in listed:
            if tensor.block == kind:
                yield from pieces(tensor, fmt, itemsize, linear_experts)
    for tensor in listed:
        if tensor.role == "head":
            yield from pieces(tensor, fmt, itemsize, linear_experts)


def pieces(tensor: Tensor, fmt: Quantization, itemsize: int, linear_experts: bool) -> Iterator[int]:
    """Allocations of one copy of a tensor: packed weights and what belongs to them apart [B]."""
    if not is_quantised(tensor, fmt, linear_experts):
        yield rounded(tensor.numel // tensor.count * itemsize)
        return
    *stack, out, inputs = tensor.shape
    packed = int(ceil_div(out * inputs * fmt.bits, 8))
    beside = fmt.weight_bytes(out, inputs) - packed
    # GPTQ and AWQ keep 16-bit scales and packed zero points of every 128 weights apart.
    zeros = int(ceil_div(out * inputs * fmt.bits, 8 * 128)) if fmt.kernel == "gptq" else 0
    for _ in range(stack[0] if stack else 1):
        yield from (rounded(packed), rounded(beside - zeros), rounded(zeros))


def rounded(nbytes: int) -> int:
    """A size as the allocator counts it [B]."""
    return int(ceil_div(nbytes, 512)) * 512
