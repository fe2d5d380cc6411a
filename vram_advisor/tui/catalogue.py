"""What can be picked: models of the catalogue and of this machine, cards of this machine and those one may get."""

from __future__ import annotations

from functools import cache

from vram_advisor import api
from vram_advisor.domain.gpu import GpuSpec, Machine
from vram_advisor.domain.local_model import LocalModel
from vram_advisor.tui.drawing import number
from vram_advisor.tui.knobs import Knob, descriptions, explanations, shown, suggested
from vram_advisor.tui.screens.picker import Entry
from vram_advisor.units.bytes import GIB

HERE = "gpu:"
"""Begins the name of a card of this machine; its index follows."""
AUTOMATIC = "auto"
NAMED_BY = ("ollama", "lm-studio")
"""Programs whose models can be asked for by their names."""


@cache
def catalogue_models() -> tuple[Entry, ...]:
    """Models of the catalogue."""
    return tuple(
        Entry(
            record.id,
            record.id,
            f"{_billions(record.parameters.total):>8}  {record.hf_repo}",
            f"{record.hf_repo} {record.family} {' '.join(record.aliases)}",
        )
        for record in api.list_models()
    )


def local_models() -> dict[Entry, str]:
    """Models of the stores on this machine, by names that the command line takes as well, and where each of them lies."""
    found = {}
    for model in api.list_local_models().models:
        kind = " ".join(filter(None, (model.file_type, model.store)))
        note = f"{model.size_bytes / GIB:>5.1f} GiB  {kind}"
        found[Entry(_asked(model), model.name, note, " ".join((model.path, *model.also)))] = model.path
    return found


def _asked(model: LocalModel) -> str:
    """The name by which a model is asked for: that of its program where that is unique, else its path."""
    return f"{model.store}:{model.name}" if model.store in NAMED_BY else model.path


@cache
def _cards() -> tuple[GpuSpec, ...]:
    return api.list_gpus()


@cache
def catalogue_gpus() -> tuple[Entry, ...]:
    """Cards of the catalogue."""
    return tuple(
        Entry(
            gpu.id,
            gpu.name,
            f"{gpu.vram_bytes / GIB:>3.0f} GiB  {_speed(gpu):>10}  {(gpu.launch_date or '')[:4]}",
            f"{gpu.vendor} {gpu.architecture} {gpu.vram_bytes / GIB:.0f} gib {gpu.vram_bytes / GIB:.0f}gb",
        )
        for gpu in _cards()
    )


def machine_gpus(machine: Machine | None) -> tuple[Entry, ...]:
    """Cards of this machine, as they are now."""
    if machine is None:
        return ()
    return tuple(
        Entry(
            f"{HERE}{gpu.index}",
            f"{gpu.index} · {gpu.name}",
            f"in this machine, {'?' if gpu.free_bytes is None else number(gpu.free_bytes)} of "
            f"{number(gpu.total_bytes)} GiB free",
            "here",
        )
        for gpu in machine.gpus
    )


def values(knob: Knob) -> tuple[Entry, ...]:
    """Values of one field."""
    said = explanations(knob)
    offered = suggested(knob)
    return tuple(
        Entry(shown(value), shown(value), said.get(str(value), "" if value is not None else "as the recipe decides"))
        for value in offered
    )


def about(knob: Knob) -> str:
    """What a field is, in a sentence."""
    return descriptions().get(knob.name, "")


def _billions(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**9 else f"{count / 1e6:.0f} M"


def _speed(gpu: GpuSpec) -> str:
    return "" if gpu.bandwidth_gb_per_s is None else f"{gpu.bandwidth_gb_per_s:,.0f} GB/s"
