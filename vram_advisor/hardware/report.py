"""What a bug report needs to know of this machine, and nothing that names its owner."""

import platform
import re
from importlib import metadata

from vram_advisor.domain.gpu import GpuSnapshot, Machine
from vram_advisor.units.bytes import gib

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "trl", "accelerate", "nvidia-ml-py", "psutil")


def report_text(machine: Machine) -> str:
    """Versions, totals and notes as text. No user, host or path, no process names, no UUID or serial number."""
    host = machine.host
    lines = [
        f"vram-advisor {_version('vram-advisor')}, Python {platform.python_version()}",
        f"system: {host.system} ({platform.system()} {_release()}, {platform.machine()})",
        f"processor: {host.cpu or 'unknown'}, {host.logical_cpus or 'unknown'} threads",
        f"memory: {_size(host.ram_total_bytes)} in all, {_size(host.ram_available_bytes)} available",
        f"driver: {machine.driver or 'none'}, CUDA {machine.cuda_driver or 'none'}",
    ]
    for gpu in machine.gpus:
        lines.extend(_gpu(gpu))
    if not machine.gpus:
        lines.append("GPU: none")
    lines.extend(f"note: {note}" for note in machine.notes)
    lines.append("installed: " + ", ".join(f"{name} {_version(name)}" for name in LIBRARIES))
    return "\n".join(lines) + "\n"


def _gpu(gpu: GpuSnapshot) -> list[str]:
    known = "unknown to the catalogue" if gpu.spec is None else f"catalogue: {gpu.spec.id}"
    held = [process.used_bytes for process in gpu.processes]
    parts = [
        f"total {gpu.total_bytes} B ({gib(gpu.total_bytes)})",
        f"free {_size(gpu.free_bytes)}",
        f"used {_size(gpu.used_bytes)}",
        f"reserved {_size(gpu.reserved_bytes)}",
        f"processes {len(held)} holding {_size(None if None in held else sum(size or 0 for size in held))}",
    ]
    facts = [
        f"compute capability {gpu.compute_capability or 'unknown'}",
        f"SMs {gpu.sm_count or 'unknown'}",
        f"PCIe {gpu.pcie or 'unknown'}",
        f"display {'unknown' if gpu.display is None else 'yes' if gpu.display else 'no'}",
        f"read from {gpu.source}",
    ]
    kinds = [kind for kind, there in (("MIG", gpu.mig), ("unified memory", gpu.unified)) if there]
    return [
        f"GPU {gpu.index}: {gpu.name} ({', '.join([known, *kinds])})",
        "  " + ", ".join(parts),
        "  " + ", ".join(facts),
        *(f"  note: {note}" for note in gpu.notes),
    ]


def _release() -> str:
    """The version of the kernel as far as it is numbers: what follows is the builder's and may be anybody's name."""
    numbers = re.match(r"[\d.]*", platform.release())
    return numbers.group().rstrip(".") if numbers else ""


def _size(nbytes: int | None) -> str:
    return "unknown" if nbytes is None else gib(nbytes)


def _version(distribution: str) -> str:
    """The installed version, without importing the library."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
