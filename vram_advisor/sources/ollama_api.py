"""A running Ollama, asked and never changed: its version, its models, what is loaded and where.

Source: ollama ``docs/api.md``, ``envconfig/config.go`` (OLLAMA_HOST).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.answers import number, objects, text, whole
from vram_advisor.sources.gguf import GgufFile
from vram_advisor.sources.gguf_cursor import Omitted, Value
from vram_advisor.sources.gguf_model import gguf_model
from vram_advisor.sources.local_http import Address, ask, parse_address
from vram_advisor.sources.stored import StoredTensor
from vram_advisor.units.errors import BadInput

PORT = 11434


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model that a server offers."""

    name: str
    digest: str
    size_bytes: int | None
    """Of all layers [B]."""
    format: str | None
    family: str | None
    parameter_size: str | None
    """In words, 8.0B."""
    file_type: str | None
    remote: bool
    """Runs in Ollama's cloud."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model that is in memory, as the server reports it."""

    name: str
    digest: str
    size_bytes: int | None
    """Buffers of llama.cpp on all devices [B]."""
    size_vram_bytes: int | None
    """Of these on GPUs; without the context of the driver and its pools [B]."""
    context_length: int | None
    """Of one request [tokens]."""


def server_address(environment: Mapping[str, str] = os.environ) -> Address:
    """Where Ollama listens by OLLAMA_HOST. Raises BadInput."""
    return parse_address(environment.get("OLLAMA_HOST", ""), PORT)


def version(address: Address) -> str:
    """Version of the server. Raises Missing where none answers, BadInput where something else does."""
    value = ask(address, "/api/version").get("version")
    if not isinstance(value, str) or not value:
        raise BadInput(f"{address} is not Ollama: it has no version")
    return value[:40]


def served(address: Address) -> tuple[ServedModel, ...]:
    """Models of the server. Raises as ``version``."""
    return tuple(parse_served(entry) for entry in objects(ask(address, "/api/tags"), "models"))


def loaded(address: Address) -> tuple[LoadedModel, ...]:
    """Models in memory. Raises as ``version``."""
    return tuple(
        LoadedModel(
            name=text(entry, "name") or text(entry, "model") or "",
            digest=text(entry, "digest") or "",
            size_bytes=number(entry, "size"),
            size_vram_bytes=number(entry, "size_vram"),
            context_length=whole(entry.get("context_length")),
        )
        for entry in objects(ask(address, "/api/ps"), "models")
    )


def show_model(address: Address, name: str) -> ModelSpec:
    """The model of a name, from the metadata and tensors that the server shows; no file is needed.

    Raises BadInput (no such model, nothing about its tensors), Missing, NotModelled.
    """
    answer = ask(address, "/api/show", {"model": name, "verbose": False})
    return gguf_model((as_file(answer, name),), f"ollama:{name}", f"Ollama at {address}: {name}")


def as_file(answer: Mapping[str, object], name: str) -> GgufFile:
    """The header of a GGUF file as the server shows it. Raises BadInput."""
    where = f"Ollama: {name}"
    info = answer.get("model_info")
    listed = answer.get("tensors")
    if not isinstance(info, dict) or not isinstance(listed, list):
        raise BadInput(f"{where} comes without metadata and tensors, expected a server from version 0.5.8")
    return GgufFile(
        name=where,
        version=3,
        byte_order="little",
        metadata={str(key): value for key, item in info.items() if (value := as_value(item)) is not None},
        tensors=tuple(as_tensor(entry, where) for entry in listed),
        offsets=(),
        file_bytes=0,
        data_offset=0,
    )


def as_value(item: object) -> Value | None:
    """One value of the metadata; lists of texts are left out as in a file."""
    if isinstance(item, bool | int | float | str):
        # JSON has one kind of number: whole ones may come as 32.0
        return int(item) if isinstance(item, float) and item.is_integer() else item
    if isinstance(item, list):
        if all(isinstance(value, bool | int | float) for value in item):
            return tuple(item)
        return Omitted("texts", len(item))
    return None


def as_tensor(entry: object, where: str) -> StoredTensor:
    """One tensor; shapes are in ggml's order. Raises BadInput."""
    name = entry.get("name") if isinstance(entry, dict) else None
    kind = GGML_TYPES.get(str(entry.get("type"))) if isinstance(entry, dict) else None
    shape = entry.get("shape") if isinstance(entry, dict) else None
    whole_shape = isinstance(shape, list) and len(shape) <= 4 and all(type(size) is int and size >= 0 for size in shape)
    if not isinstance(name, str) or kind is None or not isinstance(shape, list) or not whole_shape:
        raise BadInput(f"{where}: {str(entry)[:80]} is no tensor, expected name, type and shape")
    row = shape[0] if shape else 1
    nbytes = kind.row_bytes(row)
    for size in shape[1:]:
        nbytes *= size
    return StoredTensor(name, kind.name, tuple(reversed(shape)), nbytes)


def parse_served(entry: Mapping[str, object]) -> ServedModel:
    """One row of the list of models."""
    details = entry.get("details")
    inside: Mapping[str, object] = details if isinstance(details, dict) else {}
    return ServedModel(
        name=text(entry, "name") or text(entry, "model") or "",
        digest=text(entry, "digest") or "",
        size_bytes=number(entry, "size"),
        format=text(inside, "format"),
        family=text(inside, "family"),
        parameter_size=text(inside, "parameter_size"),
        file_type=text(inside, "quantization_level"),
        remote=bool(entry.get("remote_model") or entry.get("remote_host")),
    )
