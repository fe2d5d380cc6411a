"""What a worker measures its run with: the memory statistics of one kind of device (torch)."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from vram_advisor.calibration.accelerator_meter import AcceleratorMeter
from vram_advisor.calibration.peaks import Peaks
from vram_advisor.calibration.tracker_meter import TrackerMeter
from vram_advisor.calibration.training_step import Run
from vram_advisor.domain.trial import Backend
from vram_advisor.units.errors import Missing


class Meter(Protocol):
    """Measures a run on one device; it is the observer of its steps."""

    device: str
    """As torch names it."""
    slows: bool
    """Whether steps take longer because they are measured."""

    def enter(self, phase: str | None) -> None:
        """A border is passed (``phases.Observer``)."""

    def watching(self, run: Run) -> AbstractContextManager[object]:
        """The steps of a run are made inside."""

    def rest(self) -> int:
        """A step is over: the last phase ends. Returns what is allocated now [B]."""

    def restart(self) -> None:
        """Forget the phases so far."""

    @property
    def peaks(self) -> Peaks:
        """Largest allocated bytes by phase [B]."""

    def reserved_bytes(self) -> int | None:
        """What the allocator took from the device at most [B]."""

    def synchronise(self) -> None:
        """Wait until the device has done all that it was told."""

    def facts(self) -> dict[str, Any]:
        """Name and size of the device, by fields of ``domain.trial.Environment``."""


def meter_of(backend: Backend, index: int = 0) -> Meter:
    """The meter of a backend.

    Args:
        backend: where the run is.
        index: which of the devices that this process sees.

    Raises:
        Missing: this build of PyTorch, or this machine, has no such device.
    """
    if backend == "cpu":
        return TrackerMeter("cpu")
    if backend == "mps":
        _require(torch.backends.mps.is_available(), "mps")
        return TrackerMeter("mps", torch.mps.driver_allocated_memory)
    if backend == "xpu":
        _require(torch.xpu.is_available(), backend)
        return AcceleratorMeter(torch.xpu, f"xpu:{index}")
    # PyTorch for ROCm answers to the name of CUDA.
    _require(torch.cuda.is_available() and (backend == "rocm") == (torch.version.hip is not None), backend)
    return AcceleratorMeter(torch.cuda, f"cuda:{index}")


TITLES = {"cuda": "an NVIDIA GPU", "rocm": "an AMD GPU", "xpu": "an Intel GPU", "mps": "an Apple GPU"}


def _require(there: bool, backend: str) -> None:
    if not there:
        raise Missing(
            f"PyTorch {torch.__version__} cannot use {TITLES[backend]} here: install its build for {backend} "
            "(pytorch.org), or run on the processor with --backend cpu."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is the lack of memory: of a device, or of the computer."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    words = ("can't allocate memory", "cannot allocate memory", "out of memory", "cublas_status_alloc_failed")
    return isinstance(error, (RuntimeError, OSError)) and any(each in said for each in words)
