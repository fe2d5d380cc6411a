"""Processor, memory and operating system."""

import os
import sys
from pathlib import Path

from vram_advisor.domain.gpu import HostSnapshot
from vram_advisor.units.bytes import KIB

ROOT = Path("/")


def read_host(root: Path = ROOT, platform: str = sys.platform) -> HostSnapshot:
    """The computer as it is now; what cannot be read is None.

    Args:
        root: where ``/proc`` is looked for.
        platform: as ``sys.platform``.
    """
    if platform.startswith("linux"):
        total, available, swap = _linux_memory(root)
        system = "wsl" if "microsoft" in read_text(root / "proc/sys/kernel/osrelease").lower() else "linux"
        cpu = _linux_cpu(root)
    else:
        total, available, swap = _psutil_memory()
        system = {"win32": "windows", "darwin": "darwin"}.get(platform, "linux")
        cpu = os.environ.get("PROCESSOR_IDENTIFIER")
    return HostSnapshot(
        system=system,
        cpu=cpu,
        logical_cpus=os.cpu_count(),
        ram_total_bytes=total,
        ram_available_bytes=available,
        swap_total_bytes=swap,
    )


def process_name(pid: int) -> str | None:
    """The bare name of a running process; None where it has ended or may not be looked at."""
    try:
        # psutil takes 25 ms to import and is needed only where a process holds memory of a GPU.
        import psutil
    except ImportError:
        return None
    try:
        return str(psutil.Process(pid).name())
    except (psutil.Error, OSError, ValueError):
        return None


def read_text(path: Path) -> str:
    """The stripped text of a small file, empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def read_int(path: Path) -> int | None:
    """The whole number in a small file; None where there is none."""
    try:
        return int(read_text(path))
    except ValueError:
        return None


def _linux_memory(root: Path) -> tuple[int | None, int | None, int | None]:
    """Total, available and swap [B] from /proc/meminfo: what psutil reads as well, without its import."""
    kib: dict[str, int] = {}
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdigit():
            kib[name] = int(number[0])
    total, available, swap = (
        kib[name] * KIB if name in kib else None for name in ("MemTotal", "MemAvailable", "SwapTotal")
    )
    return total, available, swap


def _linux_cpu(root: Path) -> str | None:
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            # Only as far as the first processor: the kernel measures every clock that is read.
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip() or None
    except OSError:
        pass
    return None


def _psutil_memory() -> tuple[int | None, int | None, int | None]:
    try:
        import psutil

        memory = psutil.virtual_memory()
        return int(memory.total), int(memory.available), int(psutil.swap_memory().total)
    except (ImportError, OSError, RuntimeError):
        return None, None, None
