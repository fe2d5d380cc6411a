"""Models that are on this machine already, and what could not be read of them."""

from dataclasses import dataclass, field
from typing import Literal

from vram_advisor.domain.answer import AppliedCalibration
from vram_advisor.domain.estimate import Verdict
from vram_advisor.domain.gpu import Device

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """One model that a running program holds in memory; None where the program does not say it."""

    name: str
    path: str | None = None
    context_length: int | None = None
    """Of one request [tokens]."""
    slots: int | None = None
    """Requests at the same time."""
    reported_bytes: int | None = None
    """What the program says that it holds on GPUs, without the context of the driver [B]."""
    predicted_bytes: int | None = None
    """The same by estimate [B]; None where the model cannot be read or is not modelled."""
    predicted_process_bytes: int | None = None
    """With the context of the driver and the pool of the kernels, by estimate [B]."""
    measured_bytes: int | None = None
    """What the driver says that the process holds [B]; None where it does not say it, or several models share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProgram:
    """A program of this machine that answered."""

    program: Literal["ollama", "lm-studio", "llama-server"]
    address: str
    version: str | None = None
    loaded: tuple[LoadedModel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFit:
    """One model on disk beside the card of the question."""

    model: LocalModel
    parameters: int | None = None
    need_bytes: int | None = None
    """Minimum to run at the context that was asked for [B]; None: not modelled."""
    verdict: Verdict | None = None
    """None where there is no card, or no estimate."""
    longest_context: int | None = None
    """The longest context that fits the card [tokens]; 0: not even the shortest."""
    refused: str | None = None
    """Why there is no estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAnswer:
    """What is on this machine, and whether it fits the card."""

    device: Device | None
    context_length: int
    """That needs and verdicts are for [tokens]."""
    models: tuple[LocalFit, ...]
    broken: tuple[BrokenModel, ...] = ()
    programs: tuple[RunningProgram, ...] = ()
    calibration: AppliedCalibration | None = None
    """What corrected the needs."""
