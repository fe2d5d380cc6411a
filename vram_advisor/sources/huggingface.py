"""``config.json`` of a model on disk. Nothing is downloaded, unpickled or executed."""

import os
import re
from pathlib import Path

from vram_advisor.domain.architectures import build
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.json_files import expanded, parse_object, read_object
from vram_advisor.units.errors import BadInput

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
MAX_CONFIG_BYTES = 4 << 20
"""Largest configuration that is read [B]; real ones have a few thousand."""


def read_config(path: str | Path) -> ModelSpec:
    """The model that a ``config.json``, or the one in a folder, describes.

    Raises BadInput, one sentence that names the file, the field and what was expected; NotModelled for an architecture
    without a row in the table.
    """
    file = config_file(expanded(path))
    return build(read_object(file, MAX_CONFIG_BYTES), id=folder_name(file.parent), where=str(file))


def parse_config(data: bytes, id: str, where: str) -> ModelSpec:
    """The model that the bytes of a ``config.json`` describe. Raises as ``read_config``."""
    return build(parse_object(data, where), id=id, where=where)


def config_file(path: Path) -> Path:
    """The configuration that a path means: the file itself or the one in the folder. Raises BadInput."""
    if not os.path.isdir(path):
        return path
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadInput(f"{path} cannot be read: Permission denied")
    file = path / CONFIG
    if file.exists():
        return file
    adapter = path / ADAPTER_CONFIG
    if adapter.exists():
        base = read_object(adapter, MAX_CONFIG_BYTES).get("base_model_name_or_path")
        named = f": name its base model, {base[:80]!r}" if isinstance(base, str) else ": name its base model"
        raise BadInput(f"{path} holds an adapter, not a model{named}")
    raise BadInput(f"{path} has no {CONFIG}, expected the folder of a Hugging Face model")


def folder_name(folder: Path) -> str:
    """Name of a model by its folder; that of the repository inside a Hugging Face cache."""
    place = folder.absolute()
    if place.parent.name == "snapshots" and place.parent.parent.name.startswith("models--"):
        return place.parent.parent.name.removeprefix("models--").replace("--", "/")
    return re.sub(r"\s+", " ", place.name) or "model"
