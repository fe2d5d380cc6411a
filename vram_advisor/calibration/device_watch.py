"""What GPUs hold and draw while a worker runs, as their driver counts it from outside.

The driver's figures are the only ones that have the CUDA context in them, and the only ones that show another process
that takes memory meanwhile.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from vram_advisor.domain.gpu import GpuSnapshot

INTERVAL = 0.25
"""Between two looks [s]."""

Look = Callable[[], Sequence[GpuSnapshot]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took of its GPU. None where the driver does not say."""

    process_bytes: int | None = None
    """Most that the driver counted for it [B]."""
    disturbed_bytes: int = 0
    """Largest change of what other processes hold on its GPU [B]."""
    watts: float | None = None
    """Mean power of the GPU during the steps [W]."""


@dataclass(slots=True)
class _Seen:
    """What was seen of the GPU of one process."""

    index: int
    before: int | None
    """Used before the worker started [B]."""
    listed: int | None = None
    """Most that the driver listed for the process [B]."""
    used: int | None = None
    """Most that was in use on the whole GPU [B]."""
    change: int = 0


class DeviceWatch:
    """Looks at the GPUs from its creation, when the worker has not started, until it is closed, when it has ended.

    Args:
        look: reads all GPUs with their processes.
    """

    def __init__(self, look: Look, interval: float = INTERVAL) -> None:
        self._look = look
        self._interval = interval
        self._before = {gpu.index: gpu for gpu in look()}
        self._seen: dict[int, _Seen] = {}
        self._watts: dict[int, list[float]] = {}
        self._stepping = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "DeviceWatch":
        if self._before:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def follow(self, pid: int, index: int) -> None:
        """A process of the worker, and the GPU that it uses."""
        gpu = self._before.get(index)
        if gpu is not None:
            with self._lock:
                self._seen[pid] = _Seen(index, gpu.used_bytes)

    def stepping(self, now: bool) -> None:
        """Whether steps are running: power is averaged over them only."""
        self._stepping = now

    def sample(self) -> None:
        """Look now."""
        if not self._before:
            return
        first, second = ({gpu.index: gpu for gpu in self._look()} for _ in range(2))
        with self._lock:
            for pid, seen in self._seen.items():
                if seen.index in first and seen.index in second:
                    self._note(pid, seen, first[seen.index], second[seen.index])
            if self._stepping:
                for index in {seen.index for seen in self._seen.values()} & set(second):
                    if (power := second[index].power_w) is not None:
                        self._watts.setdefault(index, []).append(power)

    def usage(self, pid: int) -> Usage:
        """What was seen of a process, asked when it has ended."""
        with self._lock:
            seen = self._seen.get(pid)
        if seen is None:
            return Usage()
        watts = self._watts.get(seen.index)
        mean = sum(watts) / len(watts) if watts else None
        if seen.listed is not None:
            return Usage(seen.listed, seen.change, mean)
        # Containers, WSL and drivers other than NVIDIA's list no process: what the GPU holds more than before is its.
        after = next((gpu.used_bytes for gpu in self._look() if gpu.index == seen.index), None)
        if seen.before is None or seen.used is None or after is None:
            return Usage(None, 0, mean)
        return Usage(max(0, seen.used - seen.before), after - seen.before, mean)

    def _note(self, pid: int, seen: _Seen, first: GpuSnapshot, second: GpuSnapshot) -> None:
        held = _held(second)
        if pid in held:
            seen.listed = max(seen.listed or 0, held[pid])
        if second.used_bytes is None:
            return
        seen.used = max(seen.used or 0, second.used_bytes)
        # Memory and processes are two questions to the driver: only where nothing moved do their answers belong together.
        if seen.before is None or pid not in held or first.used_bytes != second.used_bytes or _held(first) != held:
            return
        ours = sum(nbytes for each, nbytes in held.items() if each in self._seen)
        change = second.used_bytes - ours - seen.before
        if abs(change) > abs(seen.change):
            seen.change = change

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self.sample()


def _held(gpu: GpuSnapshot) -> dict[int, int]:
    """What each process holds, of those that the driver knows it of [B]."""
    return {process.pid: process.used_bytes for process in gpu.processes if process.used_bytes is not None}
