"""Programs on this machine that serve models, all asked at once and never for long: Ollama, LM Studio, llama-server.

Each is looked for where its own variables or settings say, else at its usual port. Nothing is loaded, unloaded or changed.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping

from vram_advisor.domain.local_model import LoadedModel, RunningProgram
from vram_advisor.sources import llama_server_api, lm_studio_api, ollama_api
from vram_advisor.units.errors import AdvisorError

LIMIT_S = 2.0
"""How long all of them together may take [s]."""

Asking = Callable[[Mapping[str, str]], RunningProgram | None]


def ask_ollama(environment: Mapping[str, str]) -> RunningProgram | None:
    """Ollama and what it has loaded; None where nobody answers."""
    address = ollama_api.server_address(environment)
    version = ollama_api.version(address)
    loaded = tuple(
        LoadedModel(name=each.name, context_length=each.context_length, reported_bytes=each.size_vram_bytes)
        for each in ollama_api.loaded(address)
    )
    return RunningProgram(program="ollama", address=str(address), version=version, loaded=loaded)


def ask_lm_studio(environment: Mapping[str, str]) -> RunningProgram | None:
    """LM Studio and what it has loaded; None where nobody answers, or somebody else."""
    address = lm_studio_api.server_address(environment)
    if not lm_studio_api.greets(address):
        return None
    loaded = tuple(
        LoadedModel(name=model.key, context_length=instance.context_length, slots=instance.parallel)
        for model in lm_studio_api.served(address, environment)
        for instance in model.instances
    )
    return RunningProgram(program="lm-studio", address=str(address), loaded=loaded)


def ask_llama_server(environment: Mapping[str, str]) -> RunningProgram | None:
    """llama-server and its model; None where nobody answers, or somebody else."""
    address = llama_server_api.server_address(environment)
    found = llama_server_api.running(address, environment)
    loaded = LoadedModel(
        name=os.path.basename(found.model_path or "") or "its model",
        path=found.model_path,
        context_length=found.n_ctx,
        slots=found.total_slots,
    )
    return RunningProgram(program="llama-server", address=str(address), version=found.build_info, loaded=(loaded,))


ASKING: tuple[Asking, ...] = (ask_ollama, ask_lm_studio, ask_llama_server)


def running_programs(
    environment: Mapping[str, str] = os.environ, asking: tuple[Asking, ...] = ASKING, limit_s: float = LIMIT_S
) -> tuple[RunningProgram, ...]:
    """The programs that answer in time. Never raises: what else listens at a port is no program of these."""
    found: dict[int, RunningProgram] = {}

    def one(place: int, ask: Asking) -> None:
        try:
            answer = ask(environment)
        except AdvisorError:
            # Nobody answers, another program has the port, or it refuses: nothing that a list of models is about.
            return
        if answer is not None:
            found[place] = answer

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(asking)]
    end = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return tuple(found[place] for place in sorted(found))
