"""Bytes of weights that a pass reads, whatever they are stored as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import ITEMSIZE, Quantization
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.domain.tensors import tensors
from vram_advisor.throughput.work import LINEAR, touched
from vram_advisor.units.grid import Number


@dataclass(frozen=True, slots=True)
class Stored:
    """Weights as a program holds them, without the table of token embeddings (one row of it is read per token)."""

    dense: float
    """That every token passes [B]."""
    experts: float
    """Of all experts that tokens choose between [B]."""
    in_blocks: bool
    """Weights are unpacked on the way: k-quants, NF4, AWQ."""
    kernel: str = "none"
    """As in ``Quantization.kernel``."""

    def read(self, model: ModelSpec, tokens: Number) -> Number:
        """That a pass over so many tokens reads [B]."""
        return self.dense + self.experts * touched(model, tokens)


@lru_cache(maxsize=512)
def stored(model: ModelSpec, storage: Quantization, linear_experts: bool = False) -> Stored:
    """The weights of the text model in a format of Hugging Face."""
    dense = experts = 0
    itemsize = ITEMSIZE[storage.kept_dtype]
    for tensor in tensors(model):
        if tensor.role in ("tower", "position") or (tensor.role == "embedding" and not model.tie_word_embeddings):
            continue
        *stack, rows, columns = tensor.shape if len(tensor.shape) > 1 else (1, *tensor.shape)
        copies = tensor.count * (stack[0] if stack else 1)
        packed = tensor.kind in LINEAR and tensor.block is not None and tensor.role != "router"
        if tensor.role == "expert":
            packed = packed and (linear_experts or storage.expert_stacks)
        elif storage.only_experts:
            packed = False
        nbytes = copies * (storage.weight_bytes(rows, columns) if packed else rows * columns * itemsize)
        if tensor.role == "expert":
            experts += nbytes
        else:
            dense += nbytes
    return Stored(float(dense), float(experts), storage.is_quantised, storage.kernel)


def stored_gguf(tensors_of_file: Iterable[StoredTensor]) -> Stored:
    """The weights of a GGUF file, from its header or foreseen (``domain.gguf_file``)."""
    listed = list(tensors_of_file)
    tied = not any(tensor.name == "output.weight" for tensor in listed)
    dense = experts = blocks = 0
    for tensor in listed:
        if tensor.name.startswith(TABLES) and not (tied and tensor.name == "token_embd.weight"):
            continue
        if EXPERTS in tensor.name:
            experts += tensor.nbytes
        else:
            dense += tensor.nbytes
        blocks += tensor.nbytes if tensor.dtype not in PLAIN else 0
    return Stored(float(dense), float(experts), blocks > (dense + experts) / 2, "gguf")


TABLES = ("token_embd.", "position_embd.", "per_layer_token_embd.", "token_types.")
"""Tables of which a token reads one row."""
EXPERTS = "_exps."
"""In the names of stacked experts."""
PLAIN = frozenset({"F32", "F16", "BF16", "Q8_0"})
"""Types that are read as fast as 16-bit weights."""
