"""The folder in which llama.cpp kept downloads before 2026; newer builds share the cache of Hugging Face.

Source: llama.cpp v0.5.0 ``common/common.cpp`` (fs_get_cache_directory).
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.sources.gguf_listing import list_gguf, walk
from vram_advisor.sources.gguf_split import stem_of


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path | None:
    """The folder, which need not exist; None where the user has no home."""
    if stated := environment.get("LLAMA_CACHE"):
        return Path(stated)
    home = os.path.expanduser("~")
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return Path(local, "llama.cpp") if local else None
    if platform == "darwin":
        return Path(home, "Library", "Caches", "llama.cpp")
    stated = environment.get("XDG_CACHE_HOME")
    return Path(stated or Path(home, ".cache"), "llama.cpp")


def list_models(folder: Path | None) -> Iterator[LocalModel | BrokenModel]:
    """Models of the folder, under the names of their files."""
    if folder is not None:
        yield from list_gguf(walk(folder, 0), "llama.cpp", lambda path: stem_of(path.name))
