"""Memory of a GPU by the statistics of PyTorch's caching allocator: CUDA, ROCm and XPU have the same ones (torch)."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from vram_advisor.calibration.peaks import Peaks
from vram_advisor.calibration.training_step import Run


class AcceleratorMeter:
    """Reads peaks and resets them at each border of a phase.

    Args:
        api: ``torch.cuda`` or ``torch.xpu``.
        device: as torch names it.
    """

    def __init__(self, api: Any, device: str) -> None:
        self.device = device
        self.slows = False
        self._api = api
        self._peaks = Peaks()
        self._reserved = 0
        api.set_device(device)

    def watching(self, run: Run) -> AbstractContextManager[object]:
        """The allocator counts by itself."""
        return nullcontext()

    def enter(self, phase: str | None) -> None:
        """What was entered before ends here."""
        self._peaks.enter(phase, int(self._api.max_memory_allocated(self.device)))
        # The reset also makes the reserved peak that of now.
        self._reserved = max(self._reserved, int(self._api.max_memory_reserved(self.device)))
        self._api.reset_peak_memory_stats(self.device)

    def rest(self) -> int:
        """The last phase of a step ends. Returns what is allocated now [B]."""
        self.enter(None)
        return int(self._api.memory_allocated(self.device))

    def restart(self) -> None:
        """Forget the phases so far."""
        self._peaks.restart()

    @property
    def peaks(self) -> Peaks:
        """Largest ``max_memory_allocated`` by phase [B]."""
        return self._peaks

    def reserved_bytes(self) -> int | None:
        """Largest ``max_memory_reserved`` [B]."""
        return self._reserved

    def synchronise(self) -> None:
        """Wait until the device has done all that it was told."""
        self._api.synchronize(self.device)

    def facts(self) -> dict[str, Any]:
        """Name and size of the device."""
        properties = self._api.get_device_properties(self.device)
        capability = getattr(properties, "major", None)
        return {
            "device": str(properties.name),
            "total_bytes": int(properties.total_memory),
            "sm_count": getattr(properties, "multi_processor_count", None),
            "compute_capability": None if capability is None else f"{capability}.{properties.minor}",
        }
