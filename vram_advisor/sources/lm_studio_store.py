"""Models in the folders of LM Studio: MODELS/PUBLISHER/REPOSITORY/FILE.gguf.

Where they are: the variable LMSTUDIO_HOME, a file that points to the home, the home of versions before 0.3.3 where it is
still there, the home of today; its settings may name another folder for downloads. Source: lmstudio-ai/lms ``src``
(findLMStudioHome, import).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.answers import whole
from vram_advisor.sources.gguf_listing import list_gguf, sentence, walk
from vram_advisor.sources.gguf_model import read_gguf_model
from vram_advisor.sources.gguf_split import stem_of
from vram_advisor.sources.huggingface import CONFIG, MAX_CONFIG_BYTES
from vram_advisor.sources.json_files import read_bytes, read_object
from vram_advisor.sources.projector import read_projector
from vram_advisor.units.errors import BadInput, Missing

POINTER = ".lmstudio-home-pointer"
OLD_HOME = (".cache", "lm-studio")
HOME = ".lmstudio"
SETTINGS = "settings.json"
MAX_SETTINGS_BYTES = 1 << 20
LONGEST_PATH = 4096
DEPTH = 3
"""Folders below that of the models: publisher, repository, and one more that some people have."""


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The home of LM Studio, which need not exist."""
    if stated := environment.get("LMSTUDIO_HOME"):
        return Path(os.path.expanduser(stated))
    own = Path(os.path.expanduser("~"))
    try:
        pointed = read_bytes(own / POINTER, LONGEST_PATH).decode(errors="replace").strip()
    except BadInput:
        pointed = ""
    if pointed.isprintable() and os.path.isabs(pointed):
        return Path(pointed)
    old = own.joinpath(*OLD_HOME)
    return old if old.is_dir() else own / HOME


def models_folder(home: Path) -> Path:
    """The folder of the models: the one that the settings name, else that of the home."""
    try:
        named = read_object(home / SETTINGS, MAX_SETTINGS_BYTES).get("downloadsFolder")
    except BadInput:
        named = None
    if isinstance(named, str) and os.path.isabs(named) and named.isprintable():
        return Path(named)
    return home / "models"


def list_models(folder: Path) -> Iterator[LocalModel | BrokenModel]:
    """Models of the folder: one per GGUF file, one per repository of MLX weights."""
    files = list(walk(folder, DEPTH))
    yield from list_gguf(files, "lm-studio", lambda path: name_of(path, folder))
    repositories: dict[Path, list[Path]] = {}
    for path in files:
        if path.name.endswith(".safetensors"):
            repositories.setdefault(path.parent, []).append(path)
    for repository, weights in repositories.items():
        if (repository / CONFIG).exists():
            yield look_into(repository, weights, folder)


def name_of(path: Path, folder: Path) -> str:
    """Publisher, repository and file."""
    return (path.parent.relative_to(folder) / stem_of(path.name)).as_posix()


def look_into(repository: Path, weights: list[Path], folder: Path) -> LocalModel | BrokenModel:
    """A repository of safetensors, which LM Studio runs with MLX."""
    name = repository.relative_to(folder).as_posix()
    try:
        config = read_object(repository / CONFIG, MAX_CONFIG_BYTES)
        inner = config.get("text_config")
        text = inner if isinstance(inner, dict) else config
        quantization = config.get("quantization")
        bits = whole(quantization.get("bits")) if isinstance(quantization, dict) else None
        kind = config.get("model_type")
        first = weights[0].stat()
        return LocalModel(
            name=name,
            store="lm-studio",
            path=str(repository),
            format="safetensors",
            size_bytes=sum(path.stat().st_size for path in weights),
            file_type=f"{bits}bit" if bits else None,
            architecture=kind if isinstance(kind, str) else None,
            context_length=whole(text.get("max_position_embeddings")),
            identity=(first.st_dev, first.st_ino),
        )
    except (BadInput, OSError) as error:
        return BrokenModel(name=name, store="lm-studio", path=str(repository), reason=sentence(error, repository))


def find_model(key: str, folder: Path) -> LocalModel:
    """The model of a key: its name, the end of it, or its file. Raises Missing, BadInput where several have it."""
    wanted = key.strip().strip("/").lower().removesuffix(".gguf")
    found = [entry for entry in list_models(folder) if answers_to(entry.name.lower(), wanted)]
    exact = [entry for entry in found if entry.name.lower() == wanted]
    if not found:
        raise Missing(f"{key[:80]!r} is not among the models of LM Studio in {folder}: see lms ls")
    if len(found) > 1 and len(exact) != 1:
        names = ", ".join(entry.name[:80] for entry in found[:6])
        raise BadInput(f"{key[:80]!r} is several models of LM Studio: {names}")
    entry = (exact or found)[0]
    if isinstance(entry, BrokenModel):
        raise BadInput(entry.reason)
    return entry


def answers_to(name: str, wanted: str) -> bool:
    """Whether a name is meant: publisher/repository/file, or a part of it between slashes, with -gguf or without."""
    pieces = [piece.removesuffix("-gguf") for piece in name.split("/")]
    asked = [piece.removesuffix("-gguf") for piece in wanted.split("/")]
    return any(pieces[place : place + len(asked)] == asked for place in range(len(pieces) - len(asked) + 1))


def read_model(key: str, folder: Path) -> ModelSpec:
    """The model of a key. Raises BadInput, Missing, NotModelled."""
    entry = find_model(key, folder)
    if entry.format != "gguf":
        raise BadInput(f"{entry.name} is an MLX model, which is not modelled: name a GGUF file")
    model = read_gguf_model(entry.path)
    return model if entry.projector is None else replace(model, projector=read_projector(entry.projector))
