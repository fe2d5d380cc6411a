"""Which weights a LoRA adapter has matrices for, and their shapes: read from its file, or foreseen by its rank."""

from __future__ import annotations

from functools import lru_cache

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LoraAdapter, LoraPair
from vram_advisor.domain.stored_tensor import StoredTensor


def pair_of(lora: LoraAdapter, name: str, inputs: int, outputs: int) -> LoraPair | None:
    """The matrices of an adapter for a weight by its name; None: it leaves that alone."""
    if lora.pairs:
        return by_weight(lora).get(name)
    if not targeted(name, lora):
        return None
    down, up = (lora.r, inputs), (outputs, lora.r)
    return LoraPair(name, matrix(f"{name}.lora_a", lora.type, down), matrix(f"{name}.lora_b", lora.type, up))


@lru_cache(maxsize=16)
def by_weight(lora: LoraAdapter) -> dict[str, LoraPair]:
    """The matrices of a file by the weight that they are for."""
    return {pair.weight: pair for pair in lora.pairs}


def matrix(name: str, type_name: str, shape: tuple[int, int]) -> StoredTensor:
    """A matrix that is foreseen."""
    return StoredTensor(name, type_name, shape, GGML_TYPES[type_name].row_bytes(shape[1]) * shape[0])


def targeted(name: str, lora: LoraAdapter) -> bool:
    """Whether a foreseen adapter has matrices for a weight: one of a layer, whose stem is among its targets."""
    parts = name.split(".")
    return parts[0] == "blk" and parts[-1] == "weight" and ".".join(parts[2:-1]) in lora.target_modules
