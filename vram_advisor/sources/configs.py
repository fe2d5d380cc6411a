"""The configuration of the model that a person means, as Hugging Face writes it: what real code is built from.

It takes what ``sources.models`` takes, and architectures without a formula too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vram_advisor.sources.catalog_models import find_record, model_id
from vram_advisor.sources.huggingface import MAX_CONFIG_BYTES, config_file, folder_name
from vram_advisor.sources.json_files import read_object
from vram_advisor.sources.models import MAX_NAME, REPOSITORY, looks_like_path
from vram_advisor.units.errors import BadInput


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelConfig:
    """A configuration and whose it is."""

    id: str
    config: Mapping[str, object]
    """The keys of ``config.json``."""
    source: str


def resolve_config(text: str) -> ModelConfig:
    """The configuration that a name, a path or a Hugging Face repository means.

    Raises:
        BadInput: no such model, or not a configuration.
        Missing: the hub is not reached and the local cache has no copy.
    """
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BadInput(f"model {text[:40]!r} is not a name, a path or a Hugging Face repository")
    if looks_like_path(name):
        return _of_path(Path(os.path.expanduser(name)))
    if model_id(name) is None and REPOSITORY.fullmatch(name):
        from vram_advisor.sources.hub import fetch_config

        return _checked(name, read_object(fetch_config(name), MAX_CONFIG_BYTES), f"Hugging Face: {name}")
    record = find_record(name)
    return _checked(record.id, record.config, f"catalogue, checked {record.checked}: {record.hf_repo}")


def _of_path(path: Path) -> ModelConfig:
    if not os.path.exists(path):
        raise BadInput(f"{path} is not there, expected a config.json or a model folder")
    if path.is_file() and path.suffix.lower() != ".json":
        raise BadInput(f"{path} is not a configuration: the real code is built from a config.json")
    file = config_file(path)
    return _checked(folder_name(file.parent), read_object(file, MAX_CONFIG_BYTES), str(file))


def _checked(id: str, config: Mapping[str, object], where: str) -> ModelConfig:
    if not isinstance(config.get("model_type"), str):
        raise BadInput(f"{where}: model_type is missing, expected the name of an architecture")
    return ModelConfig(id, config, where)
