"""Peaks by phase from the statistics of an allocator."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch

from vram_advisor.calibration.accelerator_meter import AcceleratorMeter
from vram_advisor.calibration.meters import is_out_of_memory
from vram_advisor.calibration.tracker import Tracker
from vram_advisor.calibration.tracker_meter import TrackerMeter

MIB = 2**20


class Cuda:
    """Stands in for ``torch.cuda``: counts, and forgets peaks when it is told."""

    def __init__(self) -> None:
        self.now = self.most = self.reserved = self.most_reserved = 0

    def allocate(self, nbytes: int) -> None:
        self.now += nbytes
        self.most = max(self.most, self.now)
        self.reserved = max(self.reserved, self.now)
        self.most_reserved = max(self.most_reserved, self.reserved)

    def empty_cache(self) -> None:
        self.reserved = self.now

    def set_device(self, device: str) -> None:
        self.device = device

    def memory_allocated(self, device: str) -> int:
        return self.now

    def max_memory_allocated(self, device: str) -> int:
        return self.most

    def max_memory_reserved(self, device: str) -> int:
        return self.most_reserved

    def reset_peak_memory_stats(self, device: str) -> None:
        self.most, self.most_reserved = self.now, self.reserved

    def get_device_properties(self, device: str) -> SimpleNamespace:
        return SimpleNamespace(name="A card", total_memory=24 * MIB, multi_processor_count=46, major=8, minor=9)


def step(cuda: Cuda, meter: AcceleratorMeter, activations: int) -> int:
    meter.enter("forward")
    cuda.allocate(activations)
    meter.enter("loss_forward")
    cuda.allocate(50)
    cuda.allocate(-50)
    meter.enter("optimizer_step")
    cuda.allocate(-activations)
    cuda.allocate(7)
    cuda.allocate(-7)
    return meter.rest()


def test_every_phase_has_its_own_peak() -> None:
    cuda = Cuda()
    meter = AcceleratorMeter(cuda, "cuda:0")
    cuda.allocate(100)
    assert step(cuda, meter, 30) == 100
    assert meter.peaks.phases() == {"forward": 130, "loss_forward": 180, "optimizer_step": 130}
    assert meter.peaks.most == 180


def test_the_larger_of_two_steps_counts_and_what_was_forgotten_does_not() -> None:
    cuda = Cuda()
    meter = AcceleratorMeter(cuda, "cuda:0")
    step(cuda, meter, 900)
    meter.restart()
    for activations in (30, 40, 20):
        step(cuda, meter, activations)
    assert meter.peaks.phases()["forward"] == 40
    assert meter.peaks.most == 950


def test_reserved_is_that_of_the_whole_run_although_peaks_are_reset() -> None:
    cuda = Cuda()
    meter = AcceleratorMeter(cuda, "cuda:0")
    step(cuda, meter, 900)
    meter.restart()
    cuda.empty_cache()
    step(cuda, meter, 30)
    assert meter.reserved_bytes() == 950


def test_the_device_introduces_itself() -> None:
    assert AcceleratorMeter(Cuda(), "cuda:0").facts() == {
        "device": "A card", "total_bytes": 24 * MIB, "sm_count": 46, "compute_capability": "8.9",
    }  # fmt: skip


def test_lack_of_memory_is_known_by_its_type_and_its_words() -> None:
    import torch

    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):
        assert is_out_of_memory(error)
    for other in (RuntimeError("shape '[1]' is invalid"), ValueError("out of memory")):
        assert not is_out_of_memory(other)


@pytest.mark.parametrize(("setting", "reserved"), [("False", 12 * MIB), ("True", 20 * MIB)])
def test_the_simulated_allocator_is_set_as_the_real_one(
    setting: str, reserved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment of its own, or a page of the one that grows."""
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", f"expandable_segments:{setting}")
    tracker = Tracker("cpu", kernels={})
    meter = TrackerMeter("cpu", tracker=tracker)
    with tracker:
        kept = torch.empty(12 * MIB, dtype=torch.uint8)
    assert meter.reserved_bytes() == reserved
    assert kept.nbytes == 12 * MIB
