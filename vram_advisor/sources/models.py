"""From what a person types to a model: a path, a name of the catalogue, a repository of the hub."""

import os
import re
from pathlib import Path

from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.catalog_models import find_model, model_id
from vram_advisor.sources.gguf_reference import gguf_reference
from vram_advisor.units.errors import AdvisorError, BadInput, Missing

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
PATH_ENDS = (".json", ".safetensors", ".gguf", ".bin", ".pt", ".pth")
MAX_NAME = 4096


COPIES = re.compile(r"[-_](?:gguf|awq|gptq|int[48]|bnb|[48]bit|fp8|dynamic|hf|instruct|it|chat|base|unsloth)(?=[-_]|$)")
"""Parts of names of repositories that hold another copy or version of a model."""


def resolve_model(text: str) -> ModelSpec:
    """The model that a person means.

    A path where it exists or looks like one, else an id or alias of the catalogue, else ``owner/name`` on the hub; a
    GGUF file of the hub as ``owner/name:Q4_K_M`` or by its address (``hf.co/owner/name/file.gguf``); a model that Ollama or
    LM Studio has on this machine as ``ollama:llama3.1:8b``, ``lm-studio:publisher/repository``.
    Raises BadInput (with the nearest names), NotModelled, Missing (no network, no ``huggingface_hub``).
    """
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BadInput(f"model {text[:40]!r} is not a name, a path or a Hugging Face repository")
    store, colon, inside = name.partition(":")
    if colon and store in STORES:
        return STORES[store](inside)
    asked = gguf_reference(name)
    if asked is not None and (asked.file or not os.path.exists(name)):
        from vram_advisor.sources.gguf_hub import fetch_gguf

        try:
            return fetch_gguf(asked)
        except (Missing, BadInput) as error:
            raise hinted(error, asked.repo) from None
    if looks_like_path(name):
        # unlike Path.expanduser, it leaves the name of a user that is not there
        return read_path(Path(os.path.expanduser(name)))
    if model_id(name) is None and REPOSITORY.fullmatch(name):
        return from_hub(name)
    return find_model(name)


def looks_like_path(name: str) -> bool:
    """Whether a name is meant as a file or folder."""
    if name.startswith((".", "/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", name) or name.lower().endswith(PATH_ENDS):
        return True
    # a folder called like a model of the catalogue must not hide the model
    return (os.sep in name or model_id(name) is None) and os.path.exists(name)


def read_path(path: Path) -> ModelSpec:
    """The model in a file or folder."""
    if path.suffix.lower() in (".bin", ".pt", ".pth"):
        raise BadInput(f"{path} is a pickle, which can run code when it is read: give its config.json or safetensors")
    if path.suffix.lower() == ".gguf":
        from vram_advisor.sources.gguf_model import read_gguf_model

        return read_gguf_model(path)
    if path.name.lower().endswith(".safetensors.index.json"):
        raise BadInput(f"{path} is the index of a checkpoint: give the folder that it is in")
    if path.suffix.lower() == ".safetensors" or (os.path.isdir(path) and any(path.glob("*.safetensors"))):
        from vram_advisor.sources.safetensors import read_model

        return read_model(path)
    if os.path.isdir(path) and not os.path.exists(path / "config.json") and any(path.glob("*.gguf")):
        from vram_advisor.sources.gguf_listing import only_model
        from vram_advisor.sources.gguf_model import read_gguf_model

        return read_gguf_model(only_model(path))
    # unlike Path.exists, os.path.exists is False for a name that the system cannot have
    if not os.path.exists(path):
        raise BadInput(f"{path} is not there, expected a config.json, a model folder, a .safetensors or a .gguf file")
    from vram_advisor.sources.huggingface import read_config

    return read_config(path)


def from_hub(name: str) -> ModelSpec:
    """The model of a hub repository; where the hub cannot be asked, a model of the catalogue that it resembles."""
    from vram_advisor.sources.hub import fetch_model

    try:
        return fetch_model(name)
    except (Missing, BadInput) as error:
        raise hinted(error, name) from None


def hinted(error: AdvisorError, repository: str) -> AdvisorError:
    """The error of a repository that cannot be read, with the model of the catalogue that it resembles."""
    near = resembled(repository.partition("/")[2])
    return error if near is None else type(error)(f"{error}; the catalogue has {near}, whose name it resembles")


def resembled(name: str) -> str | None:
    """The model of the catalogue that a repository is a copy or a version of by its name.

    >>> resembled("Meta-Llama-3-8B-Instruct-GGUF"), resembled("my-own-model")
    ('llama-3-8b', None)
    """
    plain = COPIES.sub("", name.lower())
    return model_id(name) or model_id(plain) or model_id(plain.removeprefix("meta-"))


def from_ollama(name: str) -> ModelSpec:
    """A model of Ollama: from its store, else as a running server shows it."""
    from vram_advisor.sources import ollama_api, ollama_store

    try:
        return ollama_store.read_model(name, ollama_store.store_folders())
    except Missing as absent:
        # the store of a system service may be closed to this user, or be on another machine
        try:
            return ollama_api.show_model(ollama_api.server_address(), name)
        except Missing:
            raise absent from None


def from_lm_studio(key: str) -> ModelSpec:
    """A model of LM Studio by its key."""
    from vram_advisor.sources import lm_studio_store

    return lm_studio_store.read_model(key, lm_studio_store.models_folder(lm_studio_store.home_folder()))


STORES = {"ollama": from_ollama, "lm-studio": from_lm_studio}
"""Programs whose models can be named."""
