"""The NVIDIA probe against NVML itself, faked."""

import os
import sys
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from vram_advisor.domain.gpu import HostSnapshot
from vram_advisor.hardware import nvidia

GIB = 2**30
NOT_AVAILABLE = 2**64 - 1
HOST = HostSnapshot("linux", None, 8, 121 * GIB, 113 * GIB)
DEAD_PID = 2**22 + 17


def test_a_whole_gpu(nvml):
    fake = nvml.install(nvml.gpu())
    reading = nvidia.probe(HOST)
    (gpu,) = reading.gpus
    assert (reading.driver, reading.cuda_driver, reading.notes) == ("570.86.10", "12.8", ())
    assert (gpu.index, gpu.name, gpu.vendor, gpu.source) == (0, "NVIDIA GeForce RTX 4090", "NVIDIA", "nvml")
    assert (gpu.total_bytes, gpu.used_bytes, gpu.reserved_bytes) == (24 * GIB, GIB // 8, GIB // 2)
    assert gpu.free_bytes + gpu.used_bytes + gpu.reserved_bytes == gpu.total_bytes
    assert (gpu.compute_capability, gpu.sm_count, gpu.pcie, gpu.display) == ("8.9", 128, "4.0 x16", True)
    assert (gpu.utilisation_percent, gpu.temperature_c, gpu.power_w, gpu.power_limit_w) == (37, 51, 120.5, 450.0)
    assert gpu.spec is None
    assert fake.calls[-1] == "nvmlShutdown"


def test_each_gpu_with_one_field_unsupported(nvml):
    nvml.install(
        nvml.gpu(answers={"Temperature": -3}),
        nvml.gpu(answers={"PowerUsage": -3, "EnforcedPowerLimit": -3}),
        nvml.gpu(answers={"UtilizationRates": -4}),
    )
    hot, strong, busy = nvidia.probe(HOST).gpus
    assert (hot.temperature_c, hot.power_w, hot.utilisation_percent) == (None, 120.5, 37)
    assert (strong.temperature_c, strong.power_w, strong.power_limit_w) == (51, None, None)
    assert (busy.utilisation_percent, busy.temperature_c) == (None, 51)
    assert hot.notes == ("NVML: temperature: Not Supported.",)
    assert strong.notes == ("NVML: power, power limit: Not Supported.",)
    assert busy.notes == ("NVML: utilisation: Insufficient Permissions.",)


@pytest.mark.parametrize("has_handle", [False, True])
def test_a_lost_gpu_leaves_the_others(nvml, has_handle):
    nvml.install(nvml.gpu(), nvml.gpu(lost=True) if has_handle else 15, nvml.gpu())
    reading = nvidia.probe(HOST)
    assert [gpu.index for gpu in reading.gpus] == [0, 2]
    assert len(reading.notes) == 1
    assert reading.notes[0].startswith("GPU 1")
    assert "GPU is lost" in reading.notes[0]


def test_names_as_bytes(nvml):
    nvml.install(nvml.gpu(name=b"GeForce RTX 3090", answers={"UUID": b"GPU-1"}))
    (gpu,) = nvidia.probe(HOST).gpus
    assert (gpu.name, gpu.uuid) == ("GeForce RTX 3090", "GPU-1")


def test_processes_are_named_once_and_the_dead_have_no_name(nvml):
    mine = os.getpid()
    compute = [nvml.process(DEAD_PID, 100), nvml.process(mine, 2 * GIB)]
    nvml.install(
        nvml.gpu(answers={"ComputeRunningProcesses": compute, "GraphicsRunningProcesses": [nvml.process(mine, GIB)]})
    )
    (gpu,) = nvidia.probe(HOST).gpus
    assert [(found.pid, found.used_bytes) for found in gpu.processes] == [(mine, 2 * GIB), (DEAD_PID, 100)]
    assert gpu.processes[0].name == psutil.Process(mine).name()
    assert gpu.processes[1].name is None


@pytest.mark.parametrize("mark", [NOT_AVAILABLE, None], ids=["raw", "None"])
def test_unknown_use_of_processes_is_not_a_number(nvml, mark):
    """WDDM and WSL answer 2**64 - 1, which other tools have shown as 17 billion GiB."""
    nvml.install(nvml.gpu(answers={"ComputeRunningProcesses": [nvml.process(DEAD_PID, mark)]}))
    (gpu,) = nvidia.probe(HOST).gpus
    assert gpu.processes[0].used_bytes is None
    assert gpu.notes == ("The driver does not say how much memory each process holds (Windows and WSL do not).",)


def test_memory_of_unseen_processes_is_said(nvml):
    nvml.install(nvml.gpu(used=3 * GIB, answers={"ComputeRunningProcesses": [nvml.process(DEAD_PID, GIB)]}))
    (gpu,) = nvidia.probe(HOST).gpus
    assert gpu.notes == ("2.00 GiB are held by what cannot be seen from here: other containers, or the driver.",)


def test_processes_are_not_asked_for_when_not_wanted(nvml):
    fake = nvml.install(nvml.gpu())
    (gpu,) = nvidia.probe(HOST, processes=False).gpus
    assert gpu.processes == ()
    assert not [call for call in fake.calls if "Processes" in call]


def test_an_old_driver_without_memory_v2(nvml):
    nvml.install(nvml.gpu(), memory_v2=False)
    (gpu,) = nvidia.probe(HOST).gpus
    assert (gpu.total_bytes, gpu.used_bytes, gpu.reserved_bytes) == (24 * GIB, GIB // 8 + GIB // 2, None)
    assert gpu.notes == ("This driver counts what it keeps for itself as used.",)


def test_an_old_driver_that_lists_processes_in_the_old_way(nvml):
    old = {"ComputeRunningProcesses": -13, "GraphicsRunningProcesses": -13}
    listed = {"ComputeRunningProcesses_v2": [nvml.process(DEAD_PID, 5)], "GraphicsRunningProcesses_v2": []}
    nvml.install(nvml.gpu(answers=old | listed), nvml.gpu(answers=old))
    new, older = nvidia.probe(HOST).gpus
    assert [held.pid for held in new.processes] == [DEAD_PID]
    assert new.notes == ()
    assert older.processes == ()
    assert older.notes == ("NVML: compute processes, graphics processes: Not Supported.",)


def test_a_query_that_the_driver_does_not_have(nvml):
    nvml.install(nvml.gpu(answers={"Temperature": -13}))
    assert nvidia.probe(HOST).gpus[0].notes == ("NVML: temperature: not in this driver.",)


def test_old_bindings_whose_query_takes_no_version(nvml, monkeypatch):
    fake = nvml.install(nvml.gpu())
    memory = SimpleNamespace(total=8 * GIB, free=7 * GIB, used=GIB)
    monkeypatch.setattr(fake, "nvmlDeviceGetMemoryInfo", lambda gpu: memory, raising=False)
    (gpu,) = nvidia.probe(HOST).gpus
    assert (gpu.total_bytes, gpu.free_bytes, gpu.reserved_bytes) == (8 * GIB, 7 * GIB, None)


def test_slices_are_listed_instead_of_the_divided_gpu(nvml):
    piece = nvml.gpu(name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", total=5 * GIB, used=0)
    piece.answers = {"Attributes": SimpleNamespace(multiprocessorCount=14), "CudaComputeCapability": (8, 0)}
    piece.answers |= dict.fromkeys(("Temperature", "PowerUsage", "EnforcedPowerLimit", "UtilizationRates"), -3)
    nvml.install(nvml.gpu(name="NVIDIA A100-SXM4-40GB", total=40 * GIB, slices=[piece, None, piece]), nvml.gpu())
    reading = nvidia.probe(HOST)
    assert [(gpu.index, gpu.mig) for gpu in reading.gpus] == [(1, False), (2, True), (3, True)]
    assert (reading.gpus[1].total_bytes, reading.gpus[1].sm_count) == (5 * GIB, 14)
    assert reading.gpus[1].notes == ()
    assert reading.notes == ("GPU 0 is divided (MIG): its slices are GPU 2, 3.",)


def test_a_divided_gpu_without_slices(nvml):
    nvml.install(nvml.gpu(slices=[None, None]))
    reading = nvidia.probe(HOST)
    assert reading.gpus == ()
    assert reading.notes == ("GPU 0 is divided (MIG): no slice is set up, so nothing can run on it.",)


def test_a_chip_without_memory_of_its_own_uses_the_computers(nvml):
    nvml.install(nvml.gpu(name="NVIDIA GB10", answers={"CudaComputeCapability": (12, 1), "MemoryInfo": -3}))
    (gpu,) = nvidia.probe(HOST).gpus
    assert (gpu.total_bytes, gpu.free_bytes, gpu.used_bytes) == (121 * GIB, 113 * GIB, None)
    assert (gpu.unified, gpu.source) == (True, "psutil")
    assert gpu.notes == ("The GPU has no memory of its own; the figures are the computer's.",)


def test_a_card_whose_memory_cannot_be_read_is_a_line(nvml):
    nvml.install(nvml.gpu(answers={"MemoryInfo": -999}))
    reading = nvidia.probe(HOST)
    assert reading.gpus == ()
    assert reading.notes == ("GPU 0 (NVIDIA GeForce RTX 4090): memory: Unknown Error.",)


@pytest.mark.parametrize(
    ("capability", "cores", "sms"),
    [((12, 0), 6144, 48), ((8, 0), 6912, 108), ((7, 5), 2560, 40), ((6, 1), 3584, 28), ((99, 0), 4096, None)],
)
def test_sms_follow_from_the_cores_where_their_number_is_known(nvml, capability, cores, sms):
    nvml.install(nvml.gpu(answers={"CudaComputeCapability": capability, "NumGpuCores": cores}))
    assert nvidia.probe(HOST).gpus[0].sm_count == sms


def test_no_display_and_no_answer_differ(nvml):
    none = {"DisplayMode": -3, "DisplayActive": -3}
    nvml.install(nvml.gpu(answers={"DisplayMode": 0, "DisplayActive": 0}), nvml.gpu(answers=none))
    assert [gpu.display for gpu in nvidia.probe(HOST).gpus] == [False, None]


@pytest.mark.parametrize(
    ("code", "words"), [(4, "access"), (9, "not loaded"), (18, "differ in version"), (999, "Unknown Error")]
)
def test_why_nvml_did_not_start(nvml, code, words):
    nvml.install(nvml.gpu(), starts=code)
    reading = nvidia.probe(HOST)
    assert reading.gpus == ()
    assert len(reading.notes) == 1
    assert words in reading.notes[0]


def test_no_library_is_an_absence(nvml):
    nvml.install(starts=12)
    assert nvidia.probe(HOST) == nvidia.Reading(absent=nvidia.NO_LIBRARY)


def test_a_driver_without_gpus(nvml):
    nvml.install()
    assert nvidia.probe(HOST).absent == "The NVIDIA driver shows no GPU."


def test_the_package_of_the_same_name_is_refused(monkeypatch):
    wrong = ModuleType("pynvml")
    wrong.__path__ = []  # a folder, where NVIDIA's bindings are one file
    monkeypatch.setitem(sys.modules, "pynvml", wrong)
    assert nvidia.probe(HOST).notes == (nvidia.SHADOWED,)


def test_missing_bindings_are_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvidia.probe(HOST).notes == (nvidia.NO_BINDINGS,)
