"""LoRA adapters that llama.cpp loads beside a model: two matrices per target, where its weight lies.

Source: llama.cpp v0.5.0 ``src/llama-adapter.cpp``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraAdapter
from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.model_buffer import Placed
from vram_advisor.memory.llama_cpp.node import HOST


@dataclass(frozen=True, slots=True)
class AdapterTensor:
    """One matrix of an adapter."""

    name: str
    place: int
    numel: int
    type: str

    @property
    def nbytes(self) -> int:
        """Bytes in its buffer, alignment included [B]."""
        nbytes = GGML_TYPES[self.type].row_bytes(self.numel)
        return cuda.padded(nbytes, cuda.HOST_ALIGNMENT if self.place == HOST else cuda.ALIGNMENT)


def adapter_tensors(weights: Iterable[Placed], options: LlamaCppOptions) -> tuple[AdapterTensor, ...]:
    """The matrices of all adapters."""
    if not options.loras:
        return ()
    found = [
        matrix
        for lora in options.loras
        for weight in weights
        if targeted(weight.name, lora)
        for matrix in matrices(weight, lora)
    ]
    return tuple(found)


def targeted(name: str, lora: LoraAdapter) -> bool:
    """Whether an adapter has matrices for a weight: one of a layer, whose stem is among its targets."""
    parts = name.split(".")
    return parts[0] == "blk" and parts[-1] == "weight" and ".".join(parts[2:-1]) in lora.target_modules


def matrices(weight: Placed, lora: LoraAdapter) -> tuple[AdapterTensor, ...]:
    """Down and up."""
    out, inputs = weight.tensor.shape[-2:]
    name = weight.name.removesuffix(".weight")
    return (
        AdapterTensor(f"{name}.lora_a", weight.place, inputs * lora.r, lora.type),
        AdapterTensor(f"{name}.lora_b", weight.place, lora.r * out, lora.type),
    )
