"""NVIDIA GPUs through NVML, the library behind nvidia-smi. The only file that imports ``pynvml``.

Every query can fail on some driver, card or system; a failure is a value: None, and a line that says so.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot, HostSnapshot
from vram_advisor.hardware.host import process_name
from vram_advisor.hardware.nvml_query import Query, known
from vram_advisor.hardware.reading import Reading
from vram_advisor.units.bytes import MIB, gib

SHADOWED = (
    "The Python package pynvml hides NVIDIA's own nvidia-ml-py, and NVIDIA GPUs are not read. "
    "Repair: pip uninstall -y pynvml && pip install --force-reinstall nvidia-ml-py"
)
NO_LIBRARY = "No NVIDIA driver: its library NVML is not on this computer."
NO_BINDINGS = "There is an NVIDIA driver but the Python package nvidia-ml-py is missing: pip install nvidia-ml-py"

_LIBRARY_NOT_FOUND = 12
_START_FAILURES = {
    4: "NVML may not be used by this user: ask for access to /dev/nvidia* (often the group video or render).",
    9: "The NVIDIA driver is not loaded: load the kernel module nvidia, or in a container start it with GPU access.",
    18: "The NVIDIA driver in the kernel and its library differ in version, as after an update: restart the computer.",
}

_UNIFIED = frozenset({"7.2", "8.7", "11.0", "12.1"})
"""Compute capabilities of chips without memory of their own: Xavier, Orin, Thor, GB10."""

_CORES_PER_SM = {
    **dict.fromkeys(("6.0", "7.0", "7.2", "7.5", "8.0"), 64),
    **dict.fromkeys(("6.1", "6.2", "8.6", "8.7", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1"), 128),
}
"""CUDA cores of one SM by compute capability. NVIDIA, CUDA C++ programming guide, table of compute capabilities."""

_UNSEEN_BYTES = 256 * MIB
"""Memory in use beyond what the listed processes hold that is worth a line [B]."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What all queries of one reading share."""

    nvml: Any
    host: HostSnapshot
    processes: bool
    notes: list[str]


def probe(host: HostSnapshot, processes: bool = True) -> Reading:
    """All NVIDIA GPUs as they are now; never raises.

    Args:
        host: the computer, whose memory a chip without its own uses.
        processes: also list the processes that hold memory.
    """
    # Importing the bindings takes 15 ms; asking for the library takes one.
    if "pynvml" not in sys.modules and not _library_is_here():
        return Reading(absent=NO_LIBRARY)
    try:
        import pynvml
    except ImportError:
        return Reading(notes=(NO_BINDINGS,))
    if hasattr(pynvml, "__path__"):
        # NVIDIA's bindings are one module; the package that took their name is a folder.
        return Reading(notes=(SHADOWED,))
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        code = getattr(error, "value", None)
        if code == _LIBRARY_NOT_FOUND:
            return Reading(absent=NO_LIBRARY)
        return Reading(notes=(_START_FAILURES.get(code or 0, f"NVML did not start: {error}."),))
    try:
        return _read(_Session(nvml, host, processes, []))
    finally:
        Query(nvml)("shutdown", "nvmlShutdown")


def _read(session: _Session) -> Reading:
    system = Query(session.nvml)
    driver = _text(system("driver version", "nvmlSystemGetDriverVersion"))
    cuda = known(system("CUDA version", "nvmlSystemGetCudaDriverVersion_v2"))
    count = known(system("number of GPUs", "nvmlDeviceGetCount")) or 0
    session.notes.extend(system.lines("NVML"))
    gpus: list[GpuSnapshot] = []
    slices: list[Any] = []
    for index in range(count):
        device = Query(session.nvml)
        handle = device("not reachable", "nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            session.notes.extend(device.lines(f"GPU {index}"))
            continue
        found = list(_mig_handles(session, handle))
        mode = Query(session.nvml, handle)("MIG", "nvmlDeviceGetMigMode")
        if mode and mode[0] == 1:
            numbers = [str(count + len(slices) + position) for position in range(len(found))]
            where = (
                f"its slices are GPU {', '.join(numbers)}" if found else "no slice is set up, so nothing can run on it"
            )
            session.notes.append(f"GPU {index} is divided (MIG): {where}.")
            slices.extend(found)
        elif (gpu := _snapshot(session, handle, index, mig=False, driver=driver)) is not None:
            gpus.append(gpu)
    for position, handle in enumerate(slices):
        # Slices are numbered after the last GPU, so that a number means what it means to nvidia-smi.
        if (gpu := _snapshot(session, handle, count + position, mig=True, driver=driver)) is not None:
            gpus.append(gpu)
    absent = "The NVIDIA driver shows no GPU." if count == 0 else None
    version = None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}"
    return Reading(tuple(gpus), driver, version, tuple(session.notes), count + len(slices), absent)


def _snapshot(session: _Session, handle: Any, index: int, *, mig: bool, driver: str | None) -> GpuSnapshot | None:
    """One GPU or one slice; None, with a line, where its memory cannot be read."""
    ask = Query(session.nvml, handle)
    notes: list[str] = []
    name = _text(ask("name", "nvmlDeviceGetName")) or "NVIDIA GPU"
    capability = ask("compute capability", "nvmlDeviceGetCudaComputeCapability")
    compute = None if capability is None else f"{capability[0]}.{capability[1]}"
    memory = ask("memory", "nvmlDeviceGetMemoryInfo", getattr(session.nvml, "nvmlMemory_v2", 0), quiet=True)
    memory = ask("memory", "nvmlDeviceGetMemoryInfo") if memory is None else memory
    total, free, used, reserved = (
        known(getattr(memory, field, None)) for field in ("total", "free", "used", "reserved")
    )
    unified = not total and compute in _UNIFIED
    if unified:
        ask.forget("memory")
        total, free, used, reserved = session.host.ram_total_bytes, session.host.ram_available_bytes, None, None
        notes.append("The GPU has no memory of its own; the figures are the computer's.")
    elif total and reserved is None:
        notes.append("This driver counts what it keeps for itself as used.")
    if not total:
        session.notes.extend(ask.lines(f"GPU {index} ({name})") or [f"GPU {index} ({name}): memory is not readable."])
        return None
    running = tuple(_running(ask)) if session.processes else ()
    if any(process.used_bytes is None for process in running):
        notes.append("The driver does not say how much memory each process holds (Windows and WSL do not).")
    elif session.processes and used is not None and reserved is not None:
        unseen = used - sum(process.used_bytes or 0 for process in running)
        if unseen > _UNSEEN_BYTES:
            notes.append(f"{gib(unseen)} are held by what cannot be seen from here: other containers, or the driver.")
    utilisation = ask("utilisation", "nvmlDeviceGetUtilizationRates", quiet=mig)
    power = known(ask("power", "nvmlDeviceGetPowerUsage", quiet=mig))
    limit = known(ask("power limit", "nvmlDeviceGetEnforcedPowerLimit", quiet=mig))
    return GpuSnapshot(
        index=index,
        name=name,
        vendor="NVIDIA",
        total_bytes=total,
        free_bytes=free,
        used_bytes=used,
        reserved_bytes=reserved,
        uuid=_text(ask("UUID", "nvmlDeviceGetUUID")),
        driver=driver,
        compute_capability=compute,
        sm_count=_sm_count(ask, compute, mig),
        pcie=_pcie(ask, mig),
        unified=unified,
        mig=mig,
        display=_display(ask, mig),
        utilisation_percent=known(getattr(utilisation, "gpu", None)),
        temperature_c=known(ask("temperature", "nvmlDeviceGetTemperature", 0, quiet=mig)),
        power_w=None if power is None else power / 1000,
        power_limit_w=None if limit is None else limit / 1000,
        processes=running,
        source="psutil" if unified else "nvml",
        notes=(*notes, *ask.lines("NVML")),
    )


def _mig_handles(session: _Session, handle: Any) -> Iterator[Any]:
    """The slices of a divided GPU; places without one are passed over."""
    ask = Query(session.nvml, handle)
    for position in range(known(ask("slices", "nvmlDeviceGetMaxMigDeviceCount")) or 0):
        if (found := ask("slice", "nvmlDeviceGetMigDeviceHandleByIndex", position)) is not None:
            yield found


def _running(ask: Query) -> Iterator[GpuProcess]:
    """Processes that compute or draw, each once with the larger of its two figures."""
    held: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        what, function = f"{kind.lower()} processes", f"nvmlDeviceGet{kind}RunningProcesses"
        listed = ask(what, function, quiet=True)
        # Drivers before 510 have the second form only.
        for process in ask(what, f"{function}_v2") or () if listed is None else listed:
            used, before = known(process.usedGpuMemory), held.get(process.pid)
            held[process.pid] = max((value for value in (used, before) if value is not None), default=None)
    for pid, used in sorted(held.items(), key=lambda item: (-(item[1] or 0), item[0])):
        yield GpuProcess(pid=pid, name=process_name(pid), used_bytes=used)


def _sm_count(ask: Query, compute: str | None, mig: bool) -> int | None:
    """Streaming multiprocessors: NVML says them of a slice, and of a GPU the CUDA cores."""
    if mig:
        return known(getattr(ask("SMs", "nvmlDeviceGetAttributes", quiet=True), "multiprocessorCount", None))
    cores = known(ask("cores", "nvmlDeviceGetNumGpuCores", quiet=True))
    if not cores or compute is None:
        return None
    per_sm = _CORES_PER_SM.get(compute)
    return cores // per_sm if per_sm and cores % per_sm == 0 else None


def _pcie(ask: Query, mig: bool) -> str | None:
    """The fastest link that card and slot allow: the present one slows down when idle."""
    generation = known(ask("PCIe", "nvmlDeviceGetMaxPcieLinkGeneration", quiet=mig))
    width = known(ask("PCIe", "nvmlDeviceGetMaxPcieLinkWidth", quiet=mig))
    return f"{generation}.0 x{width}" if generation and width else None


def _display(ask: Query, mig: bool) -> bool | None:
    """A screen is attached, or a desktop runs on the GPU without one."""
    states = [ask("display", f"nvmlDeviceGetDisplay{what}", quiet=mig) for what in ("Mode", "Active")]
    said = [state for state in states if state is not None]
    return any(state == 1 for state in said) if said else None


def _library_is_here() -> bool:
    if sys.platform == "darwin":
        return False
    if sys.platform == "win32":
        windows = Path(os.environ.get("WINDIR", "C:/Windows"), "System32/nvml.dll")
        return windows.exists() or Path("C:/Program Files/NVIDIA Corporation/NVSMI/nvml.dll").exists()
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _text(value: Any) -> str | None:
    """Old bindings give bytes, new ones text."""
    if value is None:
        return None
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
