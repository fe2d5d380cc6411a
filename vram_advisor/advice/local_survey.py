"""What is on this machine: models of the stores beside the card, and programs that hold some of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vram_advisor.advice.local_models import RUNTIMES, LocalNeeds, local_fit, predicted
from vram_advisor.advice.shared_needs import SharedNeeds
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.local_model import LoadedModel, LocalAnswer, LocalFit, LocalModel, RunningProgram
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Runtime
from vram_advisor.sources.gguf_model import read_gguf_model
from vram_advisor.sources.gguf_split import part_names
from vram_advisor.sources.kept_needs import KeptNeeds, kept_needs
from vram_advisor.sources.local_models import list_local_models
from vram_advisor.sources.models import from_ollama, read_path
from vram_advisor.sources.running_programs import running_programs
from vram_advisor.units.errors import AdvisorError

Tell = Callable[[str], None]
PROGRAMS: dict[str, Runtime] = {"ollama": "ollama", "lm-studio": "lm-studio", "llama-server": "llama.cpp"}
FREE_STEP = 1 << 28
"""Changes of what is free below this do not matter [B]."""
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
    kept, shared = kept_needs(), SharedNeeds(device)
    fits = []
    wanted = [model for model in listed.models if _is_meant(model, words)]
    for number, model in enumerate(wanted, 1):
        tell(f"model {number} of {len(wanted)}: {model.name}")
        fits.append(_fit(model, context_length, shared, coefficients, kept))
    kept.save()
    return LocalAnswer(
        device=device,
        context_length=context_length,
        models=tuple(fits),
        broken=listed.broken,
        programs=tuple(_with_figures(each, programs, listed.models, device, coefficients) for each in programs),
    )


def _is_meant(model: LocalModel, words: Sequence[str]) -> bool:
    names = " ".join((model.name, *model.also, model.store, model.architecture or "")).lower()
    return all(word.lower() in names for word in words)


def _fit(
    model: LocalModel, context_length: int, shared: SharedNeeds, coefficients: Coefficients, kept: KeptNeeds
) -> LocalFit:
    if model.store == "lm-studio" and model.format != "gguf":
        return LocalFit(model=model, refused="LM Studio runs it with MLX, whose memory is not modelled.")
    key = _key(model, shared.device, coefficients, kept)
    try:
        needs = LocalNeeds(model, lambda: _read(model), kept.get(key), shared, coefficients)
    except AdvisorError as error:
        return LocalFit(model=model, refused=str(error))
    fit = local_fit(model, needs, context_length)
    if fit.refused is None:
        kept.put(key, needs.needs)
    return fit


def _key(model: LocalModel, device: Device | None, coefficients: Coefficients, kept: KeptNeeds) -> str | None:
    """What decides the needs of a model; None where it is not one file, or a few parts of one."""
    if model.format != "gguf":
        return None
    path = Path(model.path)
    files = [path] if model.store == "ollama" else [path.parent / name for name in part_names(path.name)]
    # The same weights may be run with a tower or adapters, and without.
    files += [Path(name) for name in (model.projector, *model.adapters) if name is not None]
    card = None if device is None else replace(device, free_bytes=0, processes=(), free_sd_bytes=0)
    free = None
    if model.store == "ollama" and device is not None:
        # Ollama takes smaller batches where little is free.
        free = device.free_bytes // FREE_STEP
    return kept.key(files, model.store, model.size_bytes, card, free, coefficients.source)


def _read(model: LocalModel) -> ModelSpec:
    """Raises BadInput, Missing, NotModelled."""
    if model.store == "ollama":
        return from_ollama(model.name)
    return read_gguf_model(model.path) if model.format == "gguf" else read_path(Path(model.path))


def _with_figures(
    program: RunningProgram,
    programs: tuple[RunningProgram, ...],
    models: tuple[LocalModel, ...],
    device: Device | None,
    coefficients: Coefficients,
) -> RunningProgram:
    """A program whose loaded models have figures beside them: by estimate, and by the driver."""
    measured = _measured(program, programs, device)
    loaded = []
    for each in program.loaded:
        spec = _spec_of(program, each, models)
        if spec is not None:
            each = predicted(each, spec, PROGRAMS[program.program], device, coefficients)
        loaded.append(replace(each, measured_bytes=measured))
    return replace(program, loaded=tuple(loaded))


def _spec_of(program: RunningProgram, loaded: LoadedModel, models: tuple[LocalModel, ...]) -> ModelSpec | None:
    """The model that a program has loaded, from its file; from the program itself where that is Ollama."""
    try:
        for model in models:
            own = RUNTIMES[model.store] == PROGRAMS[program.program]
            named = loaded.name in (model.name, *model.also) or model.name.startswith(f"{loaded.name}/")
            if model.path == loaded.path or (own and named):
                return _read(model)
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
