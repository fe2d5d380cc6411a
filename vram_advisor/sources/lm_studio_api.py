"""A running LM Studio, asked and never changed: its models, and what is loaded with which settings.

Versions from 0.4 answer at ``/api/v1/models``, those from 0.3.6 at ``/api/v0/models`` with less. Neither says how much
memory a model takes. Source: lmstudio.ai/docs/developer/rest.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vram_advisor.sources.answers import flag, inside, number, objects, text, whole
from vram_advisor.sources.json_files import read_object
from vram_advisor.sources.lm_studio_store import home_folder
from vram_advisor.sources.local_http import Address, ask
from vram_advisor.units.errors import BadInput

PORT = 1234
SETTINGS = (".internal", "http-server-config.json")
MAX_SETTINGS_BYTES = 1 << 16
TOKEN = "LM_API_TOKEN"
"""Variable with the token of a server that asks for one."""


@dataclass(frozen=True, slots=True)
class LoadedInstance:
    """One model in memory, with the settings that decide its size; None where the server does not say them."""

    id: str
    context_length: int | None
    """Tokens."""
    eval_batch_size: int | None = None
    parallel: int | None = None
    """Requests at the same time."""
    flash_attention: bool | None = None
    offload_kv_cache_to_gpu: bool | None = None


@dataclass(frozen=True, slots=True)
class StudioModel:
    """One model of LM Studio."""

    key: str
    kind: str | None
    """llm, vlm, embeddings."""
    format: str | None
    """gguf or mlx."""
    architecture: str | None
    file_type: str | None
    size_bytes: int | None
    """On disk [B]; versions before 0.4 do not say it."""
    max_context_length: int | None
    instances: tuple[LoadedInstance, ...]


def server_address(environment: Mapping[str, str] = os.environ) -> Address:
    """Where LM Studio listens on this machine, by its settings."""
    return Address("127.0.0.1", stated_port(home_folder(environment)) or PORT)


def stated_port(home: Path) -> int | None:
    """The port in the settings of LM Studio; None where they do not say it."""
    try:
        port = whole(read_object(home.joinpath(*SETTINGS), MAX_SETTINGS_BYTES).get("port"))
    except BadInput:
        return None
    return port if port is not None and port < 1 << 16 else None


def greets(address: Address) -> bool:
    """Whether what answers is LM Studio. Raises Missing where nobody does."""
    try:
        return ask(address, "/lmstudio-greeting").get("lmstudio") is True
    except BadInput:
        return False


def served(address: Address, environment: Mapping[str, str] = os.environ) -> tuple[StudioModel, ...]:
    """Models of the server. Raises Missing where none answers, BadInput where something else does."""
    token = environment.get(TOKEN)
    try:
        return tuple(parse_model(entry) for entry in objects(ask(address, "/api/v1/models", token=token), "models"))
    except BadInput:
        return tuple(parse_older(entry) for entry in objects(ask(address, "/api/v0/models", token=token), "data"))


def parse_model(entry: Mapping[str, object]) -> StudioModel:
    """One model as versions from 0.4 describe it."""
    return StudioModel(
        key=text(entry, "key") or "",
        kind=text(entry, "type"),
        format=text(entry, "format"),
        architecture=text(entry, "architecture"),
        file_type=text(inside(entry, "quantization"), "name"),
        size_bytes=number(entry, "size_bytes"),
        max_context_length=whole(entry.get("max_context_length")),
        instances=tuple(parse_instance(item) for item in objects(entry, "loaded_instances")),
    )


def parse_instance(entry: Mapping[str, object]) -> LoadedInstance:
    """One model in memory."""
    config = inside(entry, "config")
    return LoadedInstance(
        id=text(entry, "id") or "",
        context_length=whole(config.get("context_length")),
        eval_batch_size=whole(config.get("eval_batch_size")),
        parallel=whole(config.get("parallel")),
        flash_attention=flag(config, "flash_attention"),
        offload_kv_cache_to_gpu=flag(config, "offload_kv_cache_to_gpu"),
    )


def parse_older(entry: Mapping[str, object]) -> StudioModel:
    """One model as versions from 0.3.6 describe it."""
    key = text(entry, "id") or ""
    loaded = text(entry, "state") == "loaded"
    return StudioModel(
        key=key,
        kind=text(entry, "type"),
        format=text(entry, "compatibility_type"),
        architecture=text(entry, "arch"),
        file_type=text(entry, "quantization"),
        size_bytes=None,
        max_context_length=whole(entry.get("max_context_length")),
        instances=(LoadedInstance(key, whole(entry.get("loaded_context_length"))),) if loaded else (),
    )
