"""This machine in words: what ``detect`` shows, and what a bug report needs."""

from __future__ import annotations

from collections.abc import Iterator

from vram_advisor.domain.gpu import GpuSnapshot, HostSnapshot, Machine
from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.look import Look
from vram_advisor.units.bytes import gib

SYSTEMS = {"linux": "Linux", "windows": "Windows", "darwin": "macOS", "wsl": "Linux under Windows (WSL)"}
BAR = 30
"""Cells of the bar of a card."""


def machine_lines(machine: Machine, look: Look, width: int) -> Iterator[Line]:
    """Computer, GPUs, what holds their memory, and what could not be read."""
    yield from wrapped(line(_host(machine.host)), width)
    if machine.driver:
        cuda = f", CUDA {machine.cuda_driver}" if machine.cuda_driver else ""
        yield line(f"Driver {machine.driver}{cuda}")
    if not machine.gpus:
        yield BLANK
        yield line("No GPU was found.", "bold")
    for gpu in machine.gpus:
        yield BLANK
        yield from _gpu(gpu, look, width)
    if machine.notes:
        yield BLANK
    for note in machine.notes:
        yield from wrapped(line(f"- {note}", "dim"), width, hanging=2)


def bug_report(machine: Machine) -> str:
    """Versions and totals without user names, paths or names of processes."""
    from vram_advisor.hardware.report import report_text

    return report_text(machine)


def _host(host: HostSnapshot) -> str:
    parts = [SYSTEMS.get(host.system, host.system), host.cpu or "unknown processor"]
    if host.logical_cpus:
        parts.append(f"{host.logical_cpus} threads")
    if host.ram_total_bytes is not None:
        free = "" if host.ram_available_bytes is None else f", {gib(host.ram_available_bytes, 1)} available"
        parts.append(f"{gib(host.ram_total_bytes, 1)} memory{free}")
    return " · ".join(parts)


def _gpu(gpu: GpuSnapshot, look: Look, width: int) -> Iterator[Line]:
    card = "not in the catalogue" if gpu.spec is None else gpu.spec.id
    yield from wrapped(((f"GPU {gpu.index}: {gpu.name}", "bold"), (f" ({card})", "dim")), width)
    if gpu.free_bytes is None:
        yield line(f"  {gib(gpu.total_bytes)} in all; how much is free is not reported")
    else:
        held = round((gpu.total_bytes - gpu.free_bytes) / gpu.total_bytes * BAR)
        glyph, style = look.segment("part", 0)
        empty, free = look.segment("free", 0)
        yield (
            ("  ", ""),
            (glyph * held, style),
            (empty * (BAR - held), free),
            (f"  {gib(gpu.free_bytes)} free", "bold"),
            (f" of {gib(gpu.total_bytes)}", ""),
        )
    facts = [
        gpu.compute_capability and f"compute capability {gpu.compute_capability}",
        gpu.sm_count and f"{gpu.sm_count} multiprocessors",
        gpu.pcie and f"PCIe {gpu.pcie}",
        "MIG slice" if gpu.mig else None,
        "shares the memory of the computer" if gpu.unified else None,
        "drives a display" if gpu.display else None,
        f"read from {gpu.source}",
    ]
    yield from indented(wrapped(line(", ".join(fact for fact in facts if fact), "dim"), width - 2))
    rows = [
        (line(str(process.pid)), line(process.name or "unknown"), line(_size(process.used_bytes)))
        for process in gpu.processes
    ]
    columns = (Column("pid", "right"), Column("process", flexible=True, cut=True), Column("holds", "right"))
    if rows:
        yield from indented(table(columns, rows, width - 2))
    for note in gpu.notes:
        yield from indented(wrapped(line(f"- {note}", "dim"), width - 2, hanging=2))


def _size(nbytes: int | None) -> str:
    return "not reported" if nbytes is None else gib(nbytes)
