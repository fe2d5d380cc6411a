"""The GPU of a Mac with Apple silicon: it uses the memory of the computer, up to a limit that macOS sets."""

import subprocess
from collections.abc import Callable

from vram_advisor.domain.gpu import GpuSnapshot, HostSnapshot
from vram_advisor.domain.unified import metal_limit_bytes
from vram_advisor.hardware.reading import Reading
from vram_advisor.units.bytes import MIB, gib

ABSENT = "This Mac has no Apple GPU that shares the computer's memory."


def sysctl(name: str) -> str | None:
    """One value of the macOS kernel, as text; None where there is none."""
    try:
        done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def probe(host: HostSnapshot, read: Callable[[str], str | None] = sysctl) -> Reading:
    """The GPU of this Mac as it is now; never raises.

    Args:
        host: the computer, whose free memory bounds the GPU's.
        read: gives one value of the kernel by name.
    """
    chip = read("machdep.cpu.brand_string") or ""
    memory = read("hw.memsize")
    if not chip.startswith("Apple") or memory is None or not memory.isdigit():
        return Reading(absent=ABSENT)
    total = int(memory)
    wired = read("iogpu.wired_limit_mb")
    chosen = int(wired) * MIB if wired and wired.isdigit() and int(wired) > 0 else None
    limit = chosen or metal_limit_bytes(total)
    why = "as iogpu.wired_limit_mb says" if chosen else "its usual share; iogpu.wired_limit_mb changes it"
    available = host.ram_available_bytes
    return Reading(
        gpus=(
            GpuSnapshot(
                index=0,
                name=chip,
                vendor="Apple",
                total_bytes=total,
                free_bytes=None if available is None else min(limit, available),
                unified=True,
                source="psutil",
                notes=(f"macOS lets the GPU use {gib(limit)} of {gib(total)}, {why}.",),
            ),
        ),
        next_index=1,
    )
