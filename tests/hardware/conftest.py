"""A stand-in for NVML itself: the module that the program imports, with GPUs that fail in each way."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

GIB = 2**30
TEXTS = {
    3: "Not Supported",
    4: "Insufficient Permissions",
    6: "Not Found",
    9: "Driver Not Loaded",
    12: "NVML Shared Library Not Found",
    13: "Function Not Found",
    15: "GPU is lost",
    18: "Driver/library version mismatch",
    999: "Unknown Error",
}


class NVMLError(Exception):
    """As in the bindings: a code in ``value`` and a text."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return TEXTS[self.value]


class NVMLLibraryMismatchError(Exception):
    """What the bindings raise where the driver lacks the newest form of a function; not an NVMLError."""


@dataclass
class FakeGpu:
    """What one GPU answers; an int with a minus is the code of an error, and what is absent is not supported."""

    name: Any = "NVIDIA GeForce RTX 4090"
    total: int = 24 * GIB
    reserved: int = GIB // 2
    used: int = GIB // 8
    answers: dict[str, Any] = field(default_factory=dict)
    slices: list["FakeGpu | None"] = field(default_factory=list)
    lost: bool = False

    def answer(self, what: str) -> Any:
        """The answer to ``nvmlDeviceGet<what>``."""
        usual: dict[str, Any] = {
            "Name": self.name,
            "UUID": "GPU-5ec4e7-serial",
            "CudaComputeCapability": (8, 9),
            "NumGpuCores": 16384,
            "MaxPcieLinkGeneration": 4,
            "MaxPcieLinkWidth": 16,
            "DisplayMode": 0,
            "DisplayActive": 1,
            "UtilizationRates": SimpleNamespace(gpu=37, memory=5),
            "Temperature": 51,
            "PowerUsage": 120_500,
            "EnforcedPowerLimit": 450_000,
            "ComputeRunningProcesses": [],
            "GraphicsRunningProcesses": [],
            "MigMode": [1, 1] if self.slices else [0, 0],
            "MaxMigDeviceCount": len(self.slices),
        }
        value = (usual | self.answers).get(what, -3)
        if self.lost:
            value = -15
        if value == -13 and what.endswith("RunningProcesses"):
            raise NVMLLibraryMismatchError("Unversioned function called")
        if isinstance(value, int) and value < 0:
            raise NVMLError(-value)
        return value


class FakeNvml(ModuleType):
    """The module ``pynvml`` over some GPUs."""

    NVMLError = NVMLError
    NVMLLibraryMismatchError = NVMLLibraryMismatchError
    nvmlMemory_v2 = 33554472

    def __init__(self, *gpus: FakeGpu | int, starts: int = 0, memory_v2: bool = True) -> None:
        super().__init__("pynvml")
        self.gpus = gpus
        self.starts = starts
        self.memory_v2 = memory_v2
        self.calls: list[str] = []

    def nvmlInit(self) -> None:
        """Starts, or fails with a code."""
        if self.starts:
            raise NVMLError(self.starts)

    def nvmlShutdown(self) -> None:
        """Ends the session."""
        self.calls.append("nvmlShutdown")

    def nvmlSystemGetDriverVersion(self) -> bytes:
        """The driver's version, as old bindings give it."""
        return b"570.86.10"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        """CUDA 12.8."""
        return 12080

    def nvmlDeviceGetCount(self) -> int:
        """Counts lost GPUs too, as NVML does."""
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        """The GPU, or the error it was made of."""
        gpu = self.gpus[index]
        if isinstance(gpu, int):
            raise NVMLError(gpu)
        return gpu

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: FakeGpu, position: int) -> FakeGpu:
        """A slice, or nothing in this place."""
        found = gpu.slices[position]
        if found is None:
            raise NVMLError(6)
        return found

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu, version: int | None = None) -> SimpleNamespace:
        """Version 2 separates what is reserved; version 1 counts it as used."""
        gpu.answer("Name")
        if "MemoryInfo" in gpu.answers:
            gpu.answer("MemoryInfo")
        free = gpu.total - gpu.reserved - gpu.used
        if version and not self.memory_v2:
            raise NVMLError(13)
        if version:
            return SimpleNamespace(total=gpu.total, free=free, used=gpu.used, reserved=gpu.reserved)
        return SimpleNamespace(total=gpu.total, free=free, used=gpu.used + gpu.reserved)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """All other queries of a GPU."""
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)
        self.calls.append(name)
        return lambda gpu, *rest: gpu.answer(name.removeprefix("nvmlDeviceGet"))


class Fakes:
    """What a test needs to stand in for NVML."""

    gpu = FakeGpu

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def install(self, *gpus: FakeGpu | int, **options: Any) -> FakeNvml:
        """Puts a fake NVML with these GPUs in the place of the real one."""
        fake = FakeNvml(*gpus, **options)
        self._monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    def process(self, pid: int, used: int | None) -> SimpleNamespace:
        """A process as NVML lists it."""
        return SimpleNamespace(pid=pid, usedGpuMemory=used)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Makers of fake GPUs, and of the fake NVML that shows them."""
    return Fakes(monkeypatch)
