"""Models and programs of this machine for a terminal: what there is, whether it fits, what is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vram_advisor.report.calibration_words import corrected_by
from vram_advisor.report.layout import BLANK, Column, Line, line, table, wrapped
from vram_advisor.report.sizes import size
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from datetime import datetime

    from vram_advisor.domain.local_model import LoadedModel, LocalAnswer, LocalFit, RunningProgram

STORE_TITLES = {"ollama": "Ollama", "lm-studio": "LM Studio", "llama.cpp": "llama.cpp", "huggingface": "Hugging Face"}
PROGRAM_TITLES = {"ollama": "Ollama", "lm-studio": "LM Studio", "llama-server": "llama-server"}


def local_lines(answer: LocalAnswer, width: int, now: datetime | None = None) -> Iterator[Line]:
    """Stores first, then programs, then what the needs rest on."""
    device = answer.device
    where = "no GPU to compare with" if device is None else f"{gib(device.free_bytes)} free on {device.name}"
    yield from wrapped(
        (("Models on this machine", "bold"), (f", {where}, a context of {answer.context_length:,} tokens", "")), width
    )
    if answer.models:
        yield from table(_columns(answer), [_row(each, answer) for each in answer.models], width)
    elif not answer.broken:
        yield from wrapped(line("None in the stores of Ollama, LM Studio, llama.cpp and Hugging Face."), width)
    refused = [each for each in answer.models if each.refused]
    if refused or answer.broken:
        yield BLANK
        yield line("Without an estimate", "bold")
    for each in refused:
        yield from wrapped(line(f"- {each.model.name}: {each.refused}", "dim"), width, hanging=2)
    for broken in answer.broken:
        yield from wrapped(line(f"- {broken.name}: {broken.reason}", "warning"), width, hanging=2)
    for program in answer.programs:
        yield BLANK
        yield from _program(program, width)
    if answer.calibration is not None:
        said = corrected_by(answer.calibration, device, trains=False, now=now)
        yield BLANK
        yield from wrapped(line(f"{said[0].upper()}{said[1:]}.", "dim"), width)


def _columns(answer: LocalAnswer) -> tuple[Column, ...]:
    card = (Column("verdict"), Column("longest", "right")) if answer.device is not None else ()
    return (
        Column("model", flexible=True),
        Column("store", optional=3),
        Column("type", optional=2),
        Column("size", "right", optional=1),
        Column("needs", "right"),
        *card,
    )


def _row(each: LocalFit, answer: LocalAnswer) -> list[Line]:
    model, verdict = each.model, each.verdict
    cells = [
        line(model.name, "bold"),
        line(STORE_TITLES[model.store], "dim"),
        line(model.file_type or "–"),
        line(size(model.size_bytes)),
        line("–" if each.need_bytes is None else gib(each.need_bytes)),
    ]
    if answer.device is None:
        return cells
    outcome = "–" if verdict is None else verdict.outcome
    longest = "–" if each.longest_context is None else f"{each.longest_context:,}" if each.longest_context else "none"
    return [*cells, line(outcome, f"bold {outcome}" if verdict else "dim"), line(longest)]


def _program(program: RunningProgram, width: int) -> Iterator[Line]:
    version = f" {program.version}" if program.version else ""
    title = f"{PROGRAM_TITLES[program.program]}{version}"
    if not program.loaded:
        yield from wrapped(((title, "bold"), (f" at {program.address} has nothing loaded", "")), width)
        return
    yield from wrapped(((title, "bold"), (f" at {program.address} has loaded", "")), width)
    columns = (
        Column("model", flexible=True),
        Column("context", "right"),
        Column("predicted", "right"),
        Column("reported", "right"),
        Column("with CUDA", "right"),
        Column("by the driver", "right"),
    )
    yield from table(columns, [_loaded(each) for each in program.loaded], width)
    yield from wrapped(
        line(
            "predicted and reported: weights, cache and compute buffers on GPUs. with CUDA: predicted, with the context"
            " of the driver and the pool of the kernels, which is what the driver measures.",
            "dim",
        ),
        width,
    )


def _loaded(each: LoadedModel) -> list[Line]:
    figures = (each.predicted_bytes, each.reported_bytes, each.predicted_process_bytes, each.measured_bytes)
    return [
        line(each.name, "bold"),
        line("–" if each.context_length is None else f"{each.context_length:,}"),
        *(line("–" if figure is None else gib(figure)) for figure in figures),
    ]
