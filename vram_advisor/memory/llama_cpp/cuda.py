"""What a CUDA device takes for a tensor, and which operations it runs.

Source: llama.cpp v0.5.0 ``ggml/src/ggml-cuda/ggml-cuda.cu`` (get_alloc_size, device_supports_op, device_offload_op),
``fattn.cu`` (get_best_fattn_kernel, flash_attn_ext_get_alloc_size); cards of compute capability 7.5 and newer.
"""

from __future__ import annotations

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.memory.llama_cpp.node import Node

ALIGNMENT = 128
"""Tensors start at multiples of this on the device [B]."""
HOST_ALIGNMENT = 32
"""The same in host memory [B]."""
ROW = 512
"""A quantised tensor ends with room up to a multiple of so many elements."""
LEAST_ROWS = 32
"""Rows from which an operation is worth copying a weight of the host to the device."""
HEADS = frozenset((40, 64, 72, 80, 96, 112, 128, 256, 512))
"""Head sizes of the flash attention kernels where keys and values are alike."""
UNEQUAL_HEADS = frozenset(((192, 128), (320, 256), (576, 512)))
"""Sizes of key and value heads that have a kernel where they differ."""
KEY_TYPES = frozenset(("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"))
"""Cache types that the flash attention kernels read."""


def padded(nbytes: int, alignment: int) -> int:
    """Rounded up to a multiple [B]."""
    return -(-nbytes // alignment) * alignment


def row_tail(type_name: str, first: int) -> int:
    """Room behind the last row of a quantised tensor whose rows have ``first`` elements [B]."""
    row = GGML_TYPES[type_name]
    return row.row_bytes(ROW - first % ROW) if row.quantized and first % ROW else 0


def device_bytes(node: Node) -> int:
    """What the device takes for a tensor, before alignment [B]."""
    nbytes = node.nbytes
    if node.op == "FLASH_ATTN_EXT":
        nbytes = with_half_copies(node, nbytes)
    if GGML_TYPES[node.type].quantized:
        nbytes += row_tail(node.type, node.ne[0])
    return nbytes


def with_half_copies(node: Node, nbytes: int) -> int:
    """Flash attention reads F16: keys and values of another type are copied behind the result first [B]."""
    keys, values = node.sources[1], node.sources[2]
    same = values.view_of is not None and values.view_of is keys.view_of
    if keys.type != "F16":
        nbytes = padded(nbytes, ALIGNMENT) + 2 * keys.numel
    if values.type != "F16" and not same:
        nbytes = padded(nbytes, ALIGNMENT) + 2 * values.numel
    return nbytes


def runs_flash_attention(key_size: int, value_size: int, key_type: str, value_type: str) -> bool:
    """Whether there is a flash attention kernel for heads of these sizes and these cache types."""
    sizes = (key_size in HEADS and value_size == key_size) or (key_size, value_size) in UNEQUAL_HEADS
    return sizes and key_type in KEY_TYPES and value_type in KEY_TYPES


def supports(node: Node) -> bool:
    """Whether the device runs an operation."""
    sources = node.sources
    if node.op == "GET_ROWS":
        table = sources[0]
        return table.type != "NVFP4" and not (table.type in ("IQ4_NL", "MXFP4") and table.ne[0] % 256)
    if node.op == "FLASH_ATTN_EXT":
        return runs_flash_attention(sources[1].ne[0], sources[2].ne[0], sources[1].type, sources[2].type)
    if node.op == "SSM_SCAN":
        state, decay = sources[0], sources[3]
        if decay.ne[0] == 1:
            return state.ne[0] in (128, 256) and state.ne[1] % 16 == 0
        return state.ne[0] == 16 and state.ne[1] == 1 and state.ne[2] % 128 == 0
    if node.op == "SSM_CONV":
        return sources[0].ne[1] % 128 == 0
    return True


def worth_offloading(node: Node) -> bool:
    """Whether an operation on a weight of the host is brought to the device, its weight with it."""
    ne = node.ne
    if node.op == "GET_ROWS":
        return False
    if node.op == "MUL_MAT":
        return ne[1] >= LEAST_ROWS
    if node.op in ("MUL_MAT_ID", "ROPE"):
        return ne[2] >= LEAST_ROWS
    return ne[1] * ne[2] * ne[3] >= LEAST_ROWS
