"""The whole machine: probes together, one GPU as a device, and the report."""

import getpass
import os
import socket
from dataclasses import replace

import pytest

from vram_advisor.domain.gpu import GpuProcess, GpuSpec
from vram_advisor.hardware import machine
from vram_advisor.hardware.report import report_text
from vram_advisor.units.errors import Missing

GIB = 2**30


@pytest.fixture
def root(tmp_path):
    """A Linux computer with 64 GiB and one Radeon."""
    device = tmp_path / "sys/class/drm/card0/device"
    device.mkdir(parents=True)
    files = {
        "vendor": "0x1002",
        "product_name": "Radeon",
        "mem_info_vram_total": str(16 * GIB),
        "mem_info_vram_used": "0",
    }
    for name, text in files.items():
        (device / name).write_text(text)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {64 * 2**20} kB\nMemAvailable: {60 * 2**20} kB\n")
    return tmp_path


def test_gpus_of_two_makers(nvml, root):
    nvml.install(nvml.gpu(), nvml.gpu())
    found = machine.detect(root=root)
    assert [(gpu.index, gpu.vendor) for gpu in found.gpus] == [(0, "NVIDIA"), (1, "NVIDIA"), (2, "AMD")]
    assert (found.driver, found.cuda_driver, found.notes) == ("570.86.10", "12.8", ())
    assert found.host.ram_total_bytes == 64 * GIB


def test_one_maker_does_not_miss_the_other(nvml, root):
    nvml.install(starts=12)
    found = machine.detect(root=root)
    assert [gpu.vendor for gpu in found.gpus] == ["AMD"]
    assert found.notes == ()


def test_nothing_found_says_why(nvml, tmp_path):
    nvml.install(starts=12)
    found = machine.detect(root=tmp_path)
    assert found.gpus == ()
    assert len(found.notes) == 2
    with pytest.raises(Missing, match="no GPU 0 here: No NVIDIA driver"):
        machine.device(found, 0)


def test_a_failure_nobody_has_met_is_a_line(nvml, root, monkeypatch):
    fake = nvml.install(nvml.gpu())
    monkeypatch.setattr(fake, "nvmlInit", lambda: 1 / 0, raising=False)
    found = machine.detect(root=root)
    assert [gpu.vendor for gpu in found.gpus] == ["AMD"]
    assert found.notes == ("NVIDIA GPUs could not be read: ZeroDivisionError.",)


def test_a_gpu_as_a_device(nvml, root):
    nvml.install(nvml.gpu(answers={"ComputeRunningProcesses": [nvml.process(os.getpid(), GIB)]}), 15)
    found = machine.detect(root=root)
    device = machine.device(found, 0)
    assert (device.name, device.source, device.count) == ("NVIDIA GeForce RTX 4090", "detected", 1)
    assert (device.total_bytes, device.free_bytes, device.free_sd_bytes) == (24 * GIB, 24 * GIB - 5 * GIB // 8, 0)
    assert (device.sm_count, device.compute_capability, device.system) == (128, "8.9", "linux")
    assert [held.used_bytes for held in device.processes] == [GIB]
    with pytest.raises(Missing, match=r"no GPU 1 here: there is 0, 2\."):
        machine.device(found, 1)


def test_a_device_is_called_by_its_card(nvml, root):
    nvml.install(nvml.gpu())
    found = machine.detect(root=root)
    spec = GpuSpec("rtx-4090", "RTX 4090 of the catalogue", "NVIDIA", "Ada Lovelace", "desktop", 24 * GIB)
    named = replace(found, gpus=(replace(found.gpus[0], spec=spec),))
    assert (machine.device(named).name, machine.device(named).spec) == (spec.name, spec)


def test_a_gpu_that_hides_its_free_memory_is_no_device(nvml, root):
    nvml.install(starts=12)
    (root / "sys/class/drm/card0/device/mem_info_vram_used").unlink()
    with pytest.raises(Missing, match="does not say how much memory is free"):
        machine.device(machine.detect(root=root), 0)


def test_the_report_names_nobody(nvml, root):
    secret = "/home/ada/train.py"
    nvml.install(nvml.gpu(answers={"ComputeRunningProcesses": [nvml.process(os.getpid(), GIB)]}))
    found = machine.detect(root=root)
    gpu = replace(found.gpus[0], processes=(GpuProcess(4711, secret, GIB),), notes=("a line",))
    text = report_text(replace(found, gpus=(gpu,)))
    assert "vram-advisor" in text
    assert f"GPU 0: NVIDIA GeForce RTX 4090 (unknown to the catalogue)\n  total {24 * GIB} B (24.00 GiB)" in text
    assert "processes 1 holding 1.00 GiB" in text
    assert "  note: a line" in text
    assert "transformers " in text
    words = text.replace("/", " ").replace(",", " ").split()
    for name in (secret, "GPU-5ec4e7-serial", "4711", os.path.expanduser("~")):
        assert name not in text
    for name in (socket.gethostname(), getpass.getuser()):
        assert name not in words


def test_the_report_of_an_empty_machine(nvml, tmp_path):
    nvml.install(starts=12)
    text = report_text(machine.detect(root=tmp_path))
    assert "memory: unknown in all, unknown available" in text
    assert "GPU: none" in text
    assert "note: No NVIDIA driver" in text
