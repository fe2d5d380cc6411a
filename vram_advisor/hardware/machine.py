"""This machine, and one of its GPUs as the device that a verdict is measured against."""

from collections.abc import Callable
from pathlib import Path

from vram_advisor.domain.gpu import Device, Machine
from vram_advisor.hardware import amd, apple, nvidia
from vram_advisor.hardware.host import ROOT, read_host
from vram_advisor.hardware.reading import Reading
from vram_advisor.units.errors import Missing


def detect(processes: bool = True, root: Path = ROOT) -> Machine:
    """The computer and its GPUs as they are now.

    Never raises and never invents: what cannot be read is None, and a line says so. Cards of the catalogue are not
    looked up here; ``spec`` is None.

    Args:
        processes: also list the processes that hold memory of a GPU.
        root: where ``/proc`` and ``/sys`` are looked for.
    """
    host = read_host(root)
    if host.system == "darwin":
        readings = [_never_raising("Apple", lambda: apple.probe(host))]
    else:
        first = _never_raising("NVIDIA", lambda: nvidia.probe(host, processes))
        readings = [first, _never_raising("AMD", lambda: amd.probe(root, first.next_index))]
    gpus = tuple(gpu for reading in readings for gpu in reading.gpus)
    notes = [note for reading in readings for note in reading.notes]
    if not gpus:
        notes.extend(reading.absent for reading in readings if reading.absent is not None)
    return Machine(
        host=host,
        gpus=gpus,
        driver=next((reading.driver for reading in readings if reading.driver), None),
        cuda_driver=next((reading.cuda_driver for reading in readings if reading.cuda_driver), None),
        notes=tuple(notes),
    )


def device(machine: Machine, index: int = 0) -> Device:
    """The GPU with this index, with the memory that is free on it now.

    Raises:
        Missing: there is no such GPU, or it does not say how much memory is free.
    """
    gpu = next((gpu for gpu in machine.gpus if gpu.index == index), None)
    if gpu is None:
        there = ", ".join(str(gpu.index) for gpu in machine.gpus)
        raise Missing(f"There is no GPU {index} here: " + (f"there is {there}." if there else _why_none(machine)))
    if gpu.free_bytes is None:
        raise Missing(f"GPU {index} ({gpu.name}) does not say how much memory is free: name the card instead.")
    return Device(
        name=gpu.name if gpu.spec is None else gpu.spec.name,
        count=1,
        source="detected",
        total_bytes=gpu.total_bytes,
        free_bytes=gpu.free_bytes,
        sm_count=gpu.sm_count,
        compute_capability=gpu.compute_capability,
        system=machine.host.system,
        spec=gpu.spec,
        unified=gpu.unified,
        processes=gpu.processes,
        driver=gpu.driver or machine.driver,
    )


def _never_raising(maker: str, probe: Callable[[], Reading]) -> Reading:
    """A probe turns the failures it knows into lines; this one line is for those nobody has met yet."""
    # Broad on purpose: a driver must not be able to end the program.
    try:
        return probe()
    except Exception as error:
        return Reading(notes=(f"{maker} GPUs could not be read: {type(error).__name__}.",))


def _why_none(machine: Machine) -> str:
    return machine.notes[0] if machine.notes else "none was found."
