"""The cache of the Hugging Face hub, which transformers, vLLM and new builds of llama.cpp share.

``models--OWNER--NAME/snapshots/COMMIT/FILE`` is a link to ``blobs`` (a copy on Windows); ``refs/main`` names the commit
that is current. Sources: huggingface_hub ``constants.py``, llama.cpp v0.5.0 ``common/hf-cache.cpp``.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.sources.answers import whole
from vram_advisor.sources.gguf_listing import is_gguf, list_gguf, sentence, walk
from vram_advisor.sources.gguf_split import stem_of
from vram_advisor.sources.hub_folders import PREFIX
from vram_advisor.sources.huggingface import CONFIG, MAX_CONFIG_BYTES
from vram_advisor.sources.json_files import read_bytes, read_object
from vram_advisor.units.errors import BadInput

DEPTH = 3
"""Folders inside a snapshot: a quantization of many parts has one of its own."""
LONGEST_REF = 256


def repositories(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of each repository of models."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(PREFIX))
    except OSError:
        return
    for name in names:
        yield name.removeprefix(PREFIX).replace("--", "/"), folder / name


def current_snapshot(repository: Path) -> Path | None:
    """The folder of the current commit, else of the newest one; None where nothing was fetched."""
    snapshots = repository / "snapshots"
    try:
        commit = read_bytes(repository / "refs" / "main", LONGEST_REF).decode("ascii", "replace").strip()
        if commit.isalnum() and (snapshots / commit).is_dir():
            return snapshots / commit
    except BadInput:
        pass
    try:
        folders = [entry for entry in snapshots.iterdir() if entry.is_dir()]
        return max(folders, key=lambda entry: entry.stat().st_mtime, default=None)
    except OSError:
        return None


def list_models(folder: Path) -> Iterator[LocalModel | BrokenModel]:
    """Models of a cache: one per GGUF file, one per repository of safetensors."""
    for name, repository in repositories(folder):
        snapshot = current_snapshot(repository)
        if snapshot is None:
            continue
        files = list(walk(snapshot, DEPTH))
        if any(is_gguf(path) for path in files):
            yield from list_gguf(files, "huggingface", partial(name_of_file, name))
        elif any(path.name.endswith(".safetensors") for path in files) and (snapshot / CONFIG).exists():
            yield look_into(name, snapshot, files)


def name_of_file(repo: str, path: Path) -> str:
    """A GGUF file of a repository."""
    return f"{repo}:{stem_of(path.name)}"


def look_into(name: str, snapshot: Path, files: list[Path]) -> LocalModel | BrokenModel:
    """A repository of safetensors by its configuration."""
    try:
        config = read_object(snapshot / CONFIG, MAX_CONFIG_BYTES)
        inner = config.get("text_config")
        text = inner if isinstance(inner, dict) else config
        kind = config.get("model_type")
        weights = [path for path in files if path.name.endswith(".safetensors")]
        return LocalModel(
            name=name,
            store="huggingface",
            path=str(snapshot),
            format="safetensors",
            size_bytes=sum(path.stat().st_size for path in weights),
            file_type=stated_dtype(config, text),
            architecture=kind if isinstance(kind, str) else None,
            context_length=whole(text.get("max_position_embeddings")),
            identity=identity_of(weights[0]),
        )
    except (BadInput, OSError) as error:
        return BrokenModel(name=name, store="huggingface", path=str(snapshot), reason=sentence(error, snapshot))


def stated_dtype(config: Mapping[str, object], text: Mapping[str, object]) -> str | None:
    """What the configuration says about its weights: the method of quantization, else the dtype."""
    quantized = config.get("quantization_config") or text.get("quantization_config")
    if isinstance(quantized, dict) and isinstance(quantized.get("quant_method"), str):
        return str(quantized["quant_method"])[:20]
    for source in (config, text):
        for key in ("dtype", "torch_dtype"):
            if isinstance(source.get(key), str):
                return str(source[key])[:20]
    return None


def identity_of(path: Path) -> tuple[int, int]:
    """Device and number of a file."""
    file = path.stat()
    return file.st_dev, file.st_ino


def cached_gguf(repo: str, folders: tuple[Path, ...]) -> tuple[Path, tuple[str, ...]] | None:
    """The current snapshot of a repository and the GGUF files in it; None where the caches have none."""
    for folder in folders:
        snapshot = current_snapshot(folder / (PREFIX + repo.replace("/", "--")))
        if snapshot is not None:
            names = tuple(str(path.relative_to(snapshot).as_posix()) for path in walk(snapshot, DEPTH) if is_gguf(path))
            if names:
                return snapshot, names
    return None
