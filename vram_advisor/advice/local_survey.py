"""What is on this machine: models of the stores beside the card, and programs that hold some of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vram_advisor.advice.local_models import RUNTIMES, local_fit, predicted
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.local_model import LoadedModel, LocalAnswer, LocalFit, LocalModel, RunningProgram
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Runtime
from vram_advisor.sources.gguf_model import read_gguf_model
from vram_advisor.sources.local_models import list_local_models
from vram_advisor.sources.models import from_ollama, read_path
from vram_advisor.sources.running_programs import running_programs
from vram_advisor.units.errors import AdvisorError

Tell = Callable[[str], None]
PROGRAMS: dict[str, Runtime] = {"ollama": "ollama", "lm-studio": "lm-studio", "llama-server": "llama.cpp"}
PROCESSES = {
    "ollama": ("ollama", "llama-server"),
    "lm-studio": ("lm studio", "lm-studio", "llmster", "node"),
    "llama-server": ("llama-server",),
}
"""What the processes of a program that hold memory of a GPU are called."""


def survey(
    device: Device | None, context_length: int, coefficients: Coefficients, tell: Tell, words: Sequence[str] = ()
) -> LocalAnswer:
    """Models and programs of this machine. Never raises for what is wrong with one of them.

    Args:
        device: the card to compare with.
        context_length: that needs and verdicts are for [tokens].
        tell: called with what is being done.
        words: that one of the names of a model has to contain.
    """
    programs = running_programs()
    listed = list_local_models()
    specs: dict[str, ModelSpec] = {}
    fits = []
    wanted = [model for model in listed.models if _is_meant(model, words)]
    for number, model in enumerate(wanted, 1):
        tell(f"model {number} of {len(wanted)}: {model.name}")
        fits.append(_fit(model, context_length, device, coefficients, specs))
    return LocalAnswer(
        device=device,
        context_length=context_length,
        models=tuple(fits),
        broken=listed.broken,
        programs=tuple(_with_figures(each, programs, listed.models, specs, device, coefficients) for each in programs),
    )


def _is_meant(model: LocalModel, words: Sequence[str]) -> bool:
    names = " ".join((model.name, *model.also, model.store, model.architecture or "")).lower()
    return all(word.lower() in names for word in words)


def _fit(
    model: LocalModel,
    context_length: int,
    device: Device | None,
    coefficients: Coefficients,
    specs: dict[str, ModelSpec],
) -> LocalFit:
    if model.store == "lm-studio" and model.format != "gguf":
        return LocalFit(model=model, refused="LM Studio runs it with MLX, whose memory is not modelled.")
    try:
        spec = specs[model.path] = _read(model)
    except AdvisorError as error:
        return LocalFit(model=model, refused=str(error))
    return local_fit(model, spec, context_length, device, coefficients)


def _read(model: LocalModel) -> ModelSpec:
    """Raises BadInput, Missing, NotModelled."""
    if model.store == "ollama":
        return from_ollama(model.name)
    return read_gguf_model(model.path) if model.format == "gguf" else read_path(Path(model.path))


def _with_figures(
    program: RunningProgram,
    programs: tuple[RunningProgram, ...],
    models: tuple[LocalModel, ...],
    specs: dict[str, ModelSpec],
    device: Device | None,
    coefficients: Coefficients,
) -> RunningProgram:
    """A program whose loaded models have figures beside them: by estimate, and by the driver."""
    measured = _measured(program, programs, device)
    loaded = []
    for each in program.loaded:
        spec = _spec_of(program, each, models, specs)
        if spec is not None:
            each = predicted(each, spec, PROGRAMS[program.program], device, coefficients)
        loaded.append(replace(each, measured_bytes=measured))
    return replace(program, loaded=tuple(loaded))


def _spec_of(
    program: RunningProgram, loaded: LoadedModel, models: tuple[LocalModel, ...], specs: dict[str, ModelSpec]
) -> ModelSpec | None:
    """The model that a program has loaded, from its file; from the program itself where that is Ollama."""
    for model in models:
        own = RUNTIMES[model.store] == PROGRAMS[program.program]
        named = loaded.name in (model.name, *model.also) or model.name.startswith(f"{loaded.name}/")
        if model.path in specs and (model.path == loaded.path or (own and named)):
            return specs[model.path]
    try:
        if loaded.path is not None:
            return read_gguf_model(loaded.path)
        return from_ollama(loaded.name) if program.program == "ollama" else None
    except AdvisorError:
        return None


def _measured(program: RunningProgram, programs: tuple[RunningProgram, ...], device: Device | None) -> int | None:
    """What the driver says that a program holds [B]; None where processes and models cannot be told apart."""
    if device is None or len(program.loaded) != 1:
        return None
    claimed = [name for each in programs if each.loaded for name in PROCESSES[each.program]]
    names = [name for name in PROCESSES[program.program] if claimed.count(name) == 1]
    held = [p.used_bytes for p in device.processes if p.name and p.name.lower().startswith(tuple(names))]
    return held[0] if len(held) == 1 else None
