"""Every model that is on this machine: the stores of Ollama, LM Studio, llama.cpp and Hugging Face as one list."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.local_model import STORES, BrokenModel, LocalModel, LocalModels, Store
from vram_advisor.sources import hf_cache, hub_folders, llama_cpp_cache, lm_studio_store, ollama_store

Listing = Callable[[Mapping[str, str]], Iterator[LocalModel | BrokenModel]]


def ollama(environment: Mapping[str, str]) -> Iterator[LocalModel | BrokenModel]:
    """Stores of Ollama."""
    for folder in ollama_store.store_folders(environment):
        if unreadable := closed(folder, "ollama"):
            yield unreadable
        yield from ollama_store.list_models(folder)


def lm_studio(environment: Mapping[str, str]) -> Iterator[LocalModel | BrokenModel]:
    """The folder of LM Studio."""
    folder = lm_studio_store.models_folder(lm_studio_store.home_folder(environment))
    yield from lm_studio_store.list_models(folder)


def llama_cpp(environment: Mapping[str, str]) -> Iterator[LocalModel | BrokenModel]:
    """The old cache of llama.cpp."""
    yield from llama_cpp_cache.list_models(llama_cpp_cache.cache_folder(environment))


def huggingface(environment: Mapping[str, str]) -> Iterator[LocalModel | BrokenModel]:
    """The cache of Hugging Face."""
    for folder in hub_folders.cache_folders(environment):
        yield from hf_cache.list_models(folder)


LISTINGS: dict[Store, Listing] = {
    "ollama": ollama,
    "lm-studio": lm_studio,
    "llama.cpp": llama_cpp,
    "huggingface": huggingface,
}


def list_local_models(environment: Mapping[str, str] = os.environ, stores: tuple[Store, ...] = STORES) -> LocalModels:
    """Models of the stores that exist, each file once, and the entries that cannot be used. Never raises.

    Nothing is written, loaded or asked over a network.
    """
    models: dict[object, LocalModel] = {}
    broken: list[BrokenModel] = []
    for store in stores:
        for entry in LISTINGS[store](environment):
            if isinstance(entry, BrokenModel):
                broken.append(entry)
                continue
            key = entry.identity or entry.path
            known = models.get(key)
            if known is None:
                models[key] = entry
            elif entry.name != known.name and entry.name not in known.also:
                models[key] = replace(known, also=(*known.also, entry.name))
    order = {store: place for place, store in enumerate(STORES)}
    return LocalModels(
        tuple(sorted(models.values(), key=lambda model: (order[model.store], model.name.lower()))), tuple(broken)
    )


def closed(folder: Path, store: Store) -> BrokenModel | None:
    """A store that is there and cannot be read, as that of a system service."""
    try:
        if not folder.exists() or os.access(folder, os.R_OK | os.X_OK):
            return None
    except OSError:
        pass
    return BrokenModel(
        name=str(folder), store=store, path=str(folder), reason=f"{folder} cannot be read: Permission denied"
    )
