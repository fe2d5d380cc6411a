"""LoRA adapters that llama.cpp loads beside a model: two matrices per target, where its weight lies.

Source: llama.cpp v0.5.0 ``src/llama-adapter.cpp``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraPair
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.adapter_pairs import AdapterPairs
from vram_advisor.memory.llama_cpp.model_buffer import EMBEDDING, OUTPUT, Placed, buffer_bytes


@dataclass(frozen=True, slots=True)
class AdapterTensor:
    """One matrix of an adapter."""

    tensor: StoredTensor
    place: int

    @property
    def nbytes(self) -> int:
        """Bytes in its buffer, alignment included [B]."""
        return buffer_bytes(self.tensor, self.place)


def adapter_tensors(weights: Iterable[Placed], options: LlamaCppOptions) -> tuple[AdapterTensor, ...]:
    """The matrices of all adapters."""
    adapters = [AdapterPairs(lora) for lora in options.loras]
    return tuple(
        AdapterTensor(matrix, weight.place)
        for weight in weights
        for adapter in adapters
        if (pair := pair_for(weight, adapter)) is not None
        for matrix in (pair.a, pair.b)
    )


def pair_for(weight: Placed, adapter: AdapterPairs) -> LoraPair | None:
    """The matrices of an adapter for a weight. A copy of the embedding that serves as output layer has none of its own."""
    if weight.name == OUTPUT and weight.tensor.name == EMBEDDING:
        return None
    out, inputs = (1, *weight.tensor.shape)[-2:]
    return adapter.of(weight.name, inputs, out)
