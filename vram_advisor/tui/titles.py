"""What is asked, of which card, in the words of the title line and of the form."""

from __future__ import annotations

from vram_advisor.domain.answer import Answer
from vram_advisor.domain.gpu import Machine
from vram_advisor.report.layout import Line
from vram_advisor.report.words import METHODS
from vram_advisor.tui.drawing import number
from vram_advisor.tui.situation import Situation


def asked(situation: Situation) -> str:
    """Model, method and sizes in one line."""
    work = situation.workload
    size = (
        f"{work.micro_batch_size} × {work.sequence_length}"
        if work.trains
        else f"{work.num_sequences} × {work.context_length}"
    )
    quantized = "" if situation.plan.quantization is None else f" {situation.plan.quantization}"
    return f"{situation.model} · {METHODS[work.method]}{quantized} · {size}"


def card(situation: Situation, answer: Answer | None, machine: Machine | None) -> Line:
    """The card that the answer is measured against, and whether it is here."""
    device = None if answer is None else answer.device
    if situation.gpu is None and machine is not None and not machine.gpus:
        return (("no GPU here ○", "dim"),)
    if device is None:
        return ()
    name = device.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    count = f"{device.count} × " if device.count > 1 else ""
    if device.source == "catalogue":
        return ((f"{count}{name} ", ""), ("○ simulated", "unknown"))
    free = f" {number(device.free_bytes)} of {number(device.total_bytes)} GiB free "
    return ((f"{count}{name}", ""), (free, "dim"), ("● live", "fits"))


def chosen_index(situation: Situation, machine: Machine | None) -> int | None:
    """The card of this machine that is asked about; None: another one, or there is none."""
    if situation.gpu is not None or machine is None or not machine.gpus:
        return None
    return machine.gpus[0].index if situation.gpu_index is None else situation.gpu_index


def gpu_name(situation: Situation, machine: Machine | None) -> str:
    """The card as the form shows it."""
    if situation.gpu is not None:
        return situation.gpu
    if machine is None:
        return "..."
    index = chosen_index(situation, machine)
    found = next((gpu for gpu in machine.gpus if gpu.index == index), None)
    return "none here" if found is None else f"{found.index} · {found.name.removeprefix('NVIDIA ')}"


def rests_on(machine: Machine) -> object:
    """What an answer takes from a machine."""
    return tuple((gpu.index, gpu.name, gpu.total_bytes, gpu.free_bytes) for gpu in machine.gpus)
