"""Memory of a device without statistics of its own: the storages of the run, followed one by one (torch).

On the processor there is no caching allocator either: what one would reserve is simulated.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from vram_advisor.calibration.caching_allocator import replay
from vram_advisor.calibration.peaks import Peaks
from vram_advisor.calibration.tracker import Tracker, rounded
from vram_advisor.calibration.training_step import Run
from vram_advisor.hardware.host import read_host


class TrackerMeter:
    """Follows storages while steps run.

    What kernels copy for themselves inside one operator is not seen.

    Args:
        device: cpu or mps.
        reserved: what the device's allocator holds now [B]; None: simulated.
        tracker: follows the storages; None: one for a process alone.
    """

    def __init__(self, device: str, reserved: Callable[[], int] | None = None, tracker: Tracker | None = None) -> None:
        self.device = device
        self.slows = True
        self._reserved = reserved
        self._most_reserved = 0
        self._tracker = tracker or Tracker(device, kernels={})
        self._peaks = Peaks()
        self._at = 0
        self._live = 0

    def watching(self, run: Run) -> AbstractContextManager[object]:
        """Follow the storages of a run, those of its model first."""
        self._tracker.label_model(run.model, "adapters")
        return self._tracker

    def enter(self, phase: str | None) -> None:
        """What was entered before ends here."""
        self._peaks.enter(phase, self._window_peak())
        self._tracker.enter(phase or "")
        if self._reserved is not None:
            self._most_reserved = max(self._most_reserved, int(self._reserved()))

    def rest(self) -> int:
        """The last phase of a step ends. Returns what is alive now [B]."""
        self.enter(None)
        return self._live

    def restart(self) -> None:
        """Forget the phases so far."""
        self._peaks.restart()

    @property
    def peaks(self) -> Peaks:
        """Largest bytes of live storages by phase [B]."""
        return self._peaks

    def reserved_bytes(self) -> int | None:
        """The most that the allocator held, or that a caching allocator would have held for the same storages [B]."""
        if self._reserved is not None:
            return self._most_reserved or None
        # The setting of the real allocator, which the supervisor makes as the plan says.
        expandable = "expandable_segments:true" in os.environ.get("PYTORCH_ALLOC_CONF", "").lower()
        return replay(self._tracker.events, expandable).peak_reserved_bytes

    def synchronise(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.device == "mps":
            torch.mps.synchronize()

    def facts(self) -> dict[str, Any]:
        """Name and memory of the computer."""
        host = read_host()
        return {"device": host.cpu or "processor", "total_bytes": host.ram_total_bytes}

    def _window_peak(self) -> int:
        """The most that was alive since the last border [B]."""
        most = self._live
        events = self._tracker.events
        for _, nbytes in events[self._at :]:
            self._live += rounded(nbytes) if nbytes > 0 else -rounded(-nbytes)
            most = max(most, self._live)
        self._at = len(events)
        return most
