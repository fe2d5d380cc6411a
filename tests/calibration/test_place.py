"""Which device a calibration uses, and how its worker is shown it."""

import pytest

from vram_advisor.calibration.place import find_place
from vram_advisor.domain.gpu import GpuSnapshot, HostSnapshot, Machine
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import Missing

HOST = HostSnapshot("linux", "A processor", 8, 32 * GIB, 20 * GIB)


def gpu(index: int, vendor: str = "NVIDIA", **more: object) -> GpuSnapshot:
    return GpuSnapshot(
        index=index, name=f"{vendor} {index}", vendor=vendor, total_bytes=24 * GIB, free_bytes=23 * GIB,
        uuid=f"GPU-{index}f00", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def machine(*gpus: GpuSnapshot) -> Machine:
    notes = () if gpus else ("No NVIDIA driver: its library NVML is not on this computer.",)
    return Machine(HOST, gpus, "570.124.06", notes=notes)


@pytest.mark.parametrize(("vendor", "backend"), [("NVIDIA", "cuda"), ("AMD", "rocm"), ("Apple", "mps")])
def test_the_backend_is_that_of_the_gpu(vendor: str, backend: str) -> None:
    place = find_place(machine(gpu(0, vendor)), None, None)
    assert (place.backend, place.gpu_index, place.name) == (backend, 0, f"{vendor} 0")
    assert place.device is not None
    assert place.device.free_bytes == 23 * GIB


def test_without_a_gpu_two_other_ways_are_named() -> None:
    with pytest.raises(Missing) as refused:
        find_place(machine(), None, None)
    said = str(refused.value)
    assert said.startswith("There is no GPU here. No NVIDIA driver: its library NVML is not on this computer. ")
    assert "`vram-advisor trace`" in said
    assert "--backend cpu" in said


def test_a_backend_without_its_gpu_is_missing() -> None:
    with pytest.raises(Missing, match="There is no AMD GPU here"):
        find_place(machine(gpu(0)), "rocm", None)


def test_a_gpu_that_is_asked_for_is_shown_by_its_uuid() -> None:
    place = find_place(machine(gpu(0), gpu(1)), None, 1)
    assert (place.gpu_index, place.visible) == (1, "GPU-1f00")


def test_where_none_is_asked_for_the_worker_sees_what_every_program_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, index in (("1", 1), ("GPU-2f", 2), ("2,0", 2), ("", 0), ("7", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        place = find_place(machine(gpu(0), gpu(1), gpu(2)), None, None)
        assert (place.gpu_index, place.visible) == (index, None)


def test_a_gpu_that_is_not_there_is_missing() -> None:
    with pytest.raises(Missing, match="There is no GPU 3 here: there is 0"):
        find_place(machine(gpu(0)), None, 3)


def test_a_gpu_of_another_maker_does_not_run_a_backend() -> None:
    with pytest.raises(Missing, match=r"GPU 1 \(AMD 1\) does not run --backend cuda"):
        find_place(machine(gpu(0), gpu(1, "AMD")), "cuda", 1)


def test_more_gpus_than_there_are_are_missing() -> None:
    with pytest.raises(Missing, match="--num-gpus 2 needs 2 GPUs of one kind, and there is one here"):
        find_place(machine(gpu(0)), None, None, 2)


def test_a_processor_has_the_memory_of_the_computer() -> None:
    place = find_place(machine(gpu(0)), "cpu", None)
    assert place.device is not None
    assert place.device.free_bytes == 20 * GIB
    assert list(place.look()) == []


def test_tensors_without_memory_have_no_limit() -> None:
    assert find_place(machine(), "fake", None).device is None
