"""Where a trial runs: which backend, on which device, and how the worker is shown it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from vram_advisor.calibration.device_watch import Look
from vram_advisor.domain.gpu import Device, GpuSnapshot, Machine
from vram_advisor.domain.trial import Backend
from vram_advisor.hardware.machine import detect
from vram_advisor.hardware.machine import device as device_at
from vram_advisor.units.errors import Missing

VENDORS: dict[str, Backend] = {"NVIDIA": "cuda", "AMD": "rocm", "Apple": "mps"}
"""Backend by the vendor of a GPU."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Which GPUs a program sees; PyTorch for ROCm obeys it as well."""
NO_GPU = (
    "`vram-advisor trace` shows the same step on tensors without memory, and --backend cpu runs it on the processor."
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trial runs: what only the supervising process knows of it."""

    backend: Backend
    device: Device | None = None
    """None: no memory limits the runs, or how much there is is not known."""
    system: str = "linux"
    driver: str | None = None
    name: str | None = None
    """Of the GPU, as its driver prints it."""
    gpu_index: int = 0
    """Number of the first GPU that is used, as ``look`` numbers them."""
    visible: str | None = None
    """What ``VISIBLE`` is set to for the worker; None: it is left as it is."""
    look: Look = field(default=tuple)
    """Reads the GPUs as they are now."""


def find_place(machine: Machine, backend: Backend | None, gpu_index: int | None, count: int = 1) -> Place:
    """The place for what was asked.

    Args:
        machine: what this computer has.
        backend: None: that of the GPU.
        gpu_index: which GPU; None: the first that programs see.
        count: GPUs that are used together.

    Raises:
        Missing: there is no such GPU, or it does not say how much memory is free.
    """
    system = machine.host.system
    if backend == "fake":
        return Place(backend, system=system)
    if backend == "xpu":
        return Place(backend, system=system, name=None)
    if backend == "cpu":
        return Place(backend, _processor(machine), system)
    gpus = [gpu for gpu in machine.gpus if backend in (None, VENDORS.get(gpu.vendor))]
    if gpu_index is None and not gpus:
        wanted = {"cuda": "NVIDIA GPU", "rocm": "AMD GPU", "mps": "Apple GPU", None: "GPU"}[backend]
        why = f" {machine.notes[0]}" if machine.notes and not machine.gpus else ""
        raise Missing(f"There is no {wanted} here.{why} {NO_GPU}")
    if count > len(gpus):
        raise Missing(f"--num-gpus {count} needs {count} GPUs of one kind, and there {_are(len(gpus))} here.")
    index = _first_visible(gpus, os.environ) if gpu_index is None else gpu_index
    device = device_at(machine, index)
    gpu = next(gpu for gpu in machine.gpus if gpu.index == index)
    if gpu not in gpus or gpu.vendor not in VENDORS:
        raise Missing(f"GPU {index} ({gpu.name}) does not run --backend {backend}. {NO_GPU}")
    return Place(
        VENDORS[gpu.vendor],
        device,
        system,
        gpu.driver or machine.driver,
        gpu.name,
        index,
        None if gpu_index is None or count > 1 else _shown(gpu, gpus),
        lambda: detect().gpus,
    )


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count}"


def _processor(machine: Machine) -> Device | None:
    """The computer's memory as that of a device."""
    host = machine.host
    if host.ram_total_bytes is None or host.ram_available_bytes is None:
        return None
    return Device(
        name="this computer",
        count=1,
        source="detected",
        total_bytes=host.ram_total_bytes,
        free_bytes=host.ram_available_bytes,
        system=host.system,
    )


def _first_visible(gpus: list[GpuSnapshot], environment: Mapping[str, str]) -> int:
    """Index of the GPU that a program sees first, as ``VISIBLE`` says it: a number, or the beginning of a UUID."""
    first = environment.get(VISIBLE, "").split(",")[0].strip()
    for gpu in gpus:
        if first and (first == str(gpu.index) or (gpu.uuid or "").startswith(first)):
            return gpu.index
    return gpus[0].index


def _shown(gpu: GpuSnapshot, gpus: list[GpuSnapshot]) -> str:
    """How the worker is shown one GPU: numbers differ between programs, a UUID does not."""
    return gpu.uuid or str([each.index for each in gpus].index(gpu.index))
