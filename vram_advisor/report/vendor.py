"""What the overhead of a card is called: the words of NVIDIA's tools on its cards, neutral ones on others."""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.gpu import Device


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Terms:
    """The words that depend on who made the card."""

    overhead: str
    """What is needed beyond live tensors."""
    basis: str
    """Where the figure of the overhead is from."""
    meter: str
    """What shows the memory of a process."""
    keeper: str
    """Who keeps memory back on an empty card."""
    blas: str
    """The library of matrix products."""


NVIDIA = Terms(
    "CUDA and allocator",
    "CUDA context by number of multiprocessors, allocator slack fitted on published runs",
    "nvidia-smi",
    "the driver",
    "cuBLAS",
)
NEUTRAL = Terms(
    "runtime and allocator",
    "runtime and allocator slack as fitted on published runs",
    "the system",
    "the system",
    "BLAS",
)
OTHERS = ("amd", "radeon", "apple", "intel")


def terms(device: Device | None) -> Terms:
    """The words for this card; without a card those of NVIDIA, whose cards most runs are on."""
    if device is None:
        return NVIDIA
    maker = device.name if device.spec is None else device.spec.vendor
    return NEUTRAL if maker.lower().startswith(OTHERS) else NVIDIA
