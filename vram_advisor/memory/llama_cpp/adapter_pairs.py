"""Which weights a LoRA adapter has matrices for, and their shapes: read from its file, or foreseen by its rank."""

from __future__ import annotations

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LoraAdapter, LoraPair
from vram_advisor.domain.stored_tensor import StoredTensor


class AdapterPairs:
    """The matrices of one adapter."""

    def __init__(self, lora: LoraAdapter) -> None:
        self.lora = lora
        self.read = {pair.weight: pair for pair in lora.pairs}

    def of(self, name: str, inputs: int, outputs: int) -> LoraPair | None:
        """Those for a weight by its name; None: the adapter leaves it alone."""
        if self.read:
            return self.read.get(name)
        r, type_name = self.lora.r, self.lora.type
        if not targeted(name, self.lora):
            return None
        down, up = (r, inputs), (outputs, r)
        return LoraPair(name, matrix(f"{name}.lora_a", type_name, down), matrix(f"{name}.lora_b", type_name, up))


def matrix(name: str, type_name: str, shape: tuple[int, int]) -> StoredTensor:
    """A matrix that is foreseen."""
    return StoredTensor(name, type_name, shape, GGML_TYPES[type_name].row_bytes(shape[1]) * shape[0])


def targeted(name: str, lora: LoraAdapter) -> bool:
    """Whether a foreseen adapter has matrices for a weight: one of a layer, whose stem is among its targets."""
    parts = name.split(".")
    return parts[0] == "blk" and parts[-1] == "weight" and ".".join(parts[2:-1]) in lora.target_modules
