"""Where the cache of the Hugging Face hub is, and whether a repository is in it, by a look at folders alone."""

import os
from collections.abc import Mapping
from pathlib import Path

PREFIX = "models--"
"""Of the folder of a repository of models."""


def cache_folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The cache that is in use, and that of llama.cpp where it is another; they need not exist."""
    found = []
    if stated := environment.get("LLAMA_CACHE"):
        found.append(Path(stated))
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if stated := environment.get(variable):
            found.append(Path(os.path.expanduser(stated), below))
            return tuple(found)
    base = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return (*found, Path(base, "huggingface", "hub"))


def is_cached(repository: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a snapshot of a repository is on this machine, whole or in part."""
    name = PREFIX + repository.replace("/", "--")
    return any(os.path.isdir(os.path.join(folder, name, "snapshots")) for folder in cache_folders(environment))
