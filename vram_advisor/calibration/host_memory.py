"""Memory of this process on the host."""

import sys

import psutil


def largest_resident_bytes() -> int:
    """Largest resident set of this process so far [B]."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    elif sys.platform == "linux":  # noqa: RET505 - a type checker skips what is for another platform
        # What getrusage says includes the parent's from before this program was loaded.
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    else:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS counts bytes, others KiB.
        return most if sys.platform == "darwin" else most * 1024
