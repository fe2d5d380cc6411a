"""Models that are on this machine already, and what could not be read of them."""

from dataclasses import dataclass, field
from typing import Literal

Store = Literal["ollama", "lm-studio", "llama.cpp", "huggingface"]
"""Whose folder a model is in."""
STORES: tuple[Store, ...] = ("ollama", "lm-studio", "llama.cpp", "huggingface")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """One model on disk."""

    name: str
    """As the program that owns the folder calls it."""
    store: Store
    path: str
    """The file, the first of its parts, or a folder of safetensors."""
    format: Literal["gguf", "safetensors"]
    size_bytes: int
    """Weights on disk, all parts [B]; towers and adapters beside them are not counted."""
    file_type: str | None = None
    """Q4_K_M and the like; None where neither name nor metadata say it."""
    architecture: str | None = None
    """``general.architecture`` of a GGUF file, ``model_type`` of a configuration."""
    context_length: int | None = None
    """What the model was trained for [tokens]."""
    projector: str | None = None
    """File of the vision or audio tower (mmproj)."""
    adapters: tuple[str, ...] = ()
    """Files of LoRA adapters that are loaded with it."""
    also: tuple[str, ...] = ()
    """Further names of the same file."""
    parameters: tuple[tuple[str, int], ...] = ()
    """Options that the store keeps with the model (num_ctx, num_gpu, num_batch)."""
    identity: tuple[int, int] | None = field(default=None, repr=False)
    """Device and number of the file: two names with the same identity are one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenModel:
    """An entry of a store that cannot be used."""

    name: str
    store: Store
    path: str
    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class LocalModels:
    """Everything that the stores of this machine hold."""

    models: tuple[LocalModel, ...]
    broken: tuple[BrokenModel, ...] = ()
