"""What part of a model stays in system memory, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.llama_cpp import LlamaCppOptions


@dataclass(frozen=True, slots=True)
class Traffic:
    """What crosses PCIe [B]."""

    token_bytes: int
    """For each generated token: hidden states that change sides."""
    batch_bytes: int
    """For each batch of a prompt: the same, and weights of the host that are computed with on the GPU."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One way to share a model between the GPUs and system memory."""

    by: Literal["whole", "experts", "layers", "fit"]
    """whole: all on the GPUs; experts: those of the first layers in system memory; layers: the first ones; fit: as
    llama.cpp decides by itself."""
    options: LlamaCppOptions
    gpu_bytes: int
    """Of the fullest GPU, with what is outside of llama.cpp's buffers [B]."""
    host_bytes: int
    """All buffers in system memory [B]."""
    offloaded_bytes: int
    """Weights in system memory that would be on a GPU if there were room [B]."""
    traffic: Traffic
    probability: float
    """That it fits the GPUs."""
    fits_host: bool | None
    """Whether system memory holds the rest; None: it is not known how much there is."""


@dataclass(frozen=True, slots=True)
class LongestContext:
    """The longest context with the whole model on the GPUs."""

    cache_type: str
    tokens: int
    """0: none fits."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Offload:
    """What to do when a model does not fit."""

    ours: Placement | None
    """The most that fits; None: not even an empty GPU part does."""
    fit: Placement
    """What ``--fit`` of llama.cpp decides by itself."""
    fit_meets_its_margin: bool
    contexts: tuple[LongestContext, ...]
    why_they_differ: str
