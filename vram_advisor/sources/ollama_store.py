"""Models in the store of Ollama: manifests that name layers, and layers as blobs.

``manifests/HOST/NAMESPACE/MODEL/TAG`` is a JSON object; each of its layers has a media type and a digest, and lies in
``blobs/sha256-...``. Source: ollama ``manifest``, ``types/model/name.go``, ``envconfig/config.go``.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.answers import whole
from vram_advisor.sources.gguf import read_gguf
from vram_advisor.sources.gguf_listing import look_into, sentence, walk
from vram_advisor.sources.gguf_model import gguf_model
from vram_advisor.sources.json_files import read_object
from vram_advisor.sources.lora_file import read_adapter
from vram_advisor.sources.projector import read_projector
from vram_advisor.units.errors import BadInput, Missing

HOST = "registry.ollama.ai"
NAMESPACE = "library"
TAG = "latest"
"""Parts of a name that are left out when a model is named."""
SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Store of the system service on Linux."""
DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
MEDIA = "application/vnd.ollama.image."
MAX_MANIFEST_BYTES = 1 << 20
MAX_PARAMETERS_BYTES = 1 << 16
OPTIONS = ("num_ctx", "num_gpu", "num_batch")
"""Options of a model that decide its memory."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model of the store."""

    name: str
    """As ``ollama list`` shows it."""
    path: Path
    config: Path | None
    models: tuple[Path, ...]
    """Blobs of GGUF weights; more than one where the file is split."""
    projectors: tuple[Path, ...]
    adapters: tuple[Path, ...]
    parameters: Path | None
    tensors: bool
    """Weights are single tensors in another format, which Ollama runs with MLX."""


def store_folders(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform, service: Path = SERVICE
) -> tuple[Path, ...]:
    """Where the models of Ollama may be; the folders need not exist."""
    if stated := environment.get("OLLAMA_MODELS"):
        return (Path(os.path.expanduser(stated)),)
    own = Path(os.path.expanduser("~"), ".ollama", "models")
    return (own, service) if platform.startswith("linux") else (own,)


def list_models(folder: Path) -> Iterator[LocalModel | BrokenModel]:
    """Models of a store, those whose weights are in the store."""
    for path in manifests(folder):
        name = name_of(path, folder)
        try:
            entry = list_one(read_manifest(path, folder))
        except (BadInput, OSError) as error:
            entry = BrokenModel(name=name, store="ollama", path=str(path), reason=sentence(error, path))
        if entry is not None:
            yield entry


def manifests(folder: Path) -> Iterator[Path]:
    """The manifest of each model."""
    root = folder / "manifests"
    for path in walk(root, 3):
        if len(path.relative_to(root).parts) == 4 and not path.name.startswith("."):
            yield path


def name_of(path: Path, folder: Path) -> str:
    """The name of a manifest without what Ollama leaves out."""
    host, namespace, model, tag = path.relative_to(folder / "manifests").parts
    if host != HOST:
        return f"{host}/{namespace}/{model}:{tag}"
    return f"{model}:{tag}" if namespace == NAMESPACE else f"{namespace}/{model}:{tag}"


def read_manifest(path: Path, folder: Path) -> Manifest:
    """The layers of a model, as paths of blobs. Raises BadInput."""
    content = read_object(path, MAX_MANIFEST_BYTES)
    listed = content.get("layers")
    layers = listed if isinstance(listed, list) else []
    found: dict[str, list[Path]] = {}
    for layer in layers:
        kind, blob = parse_layer(layer, folder, path)
        found.setdefault(kind, []).append(blob)
    config = parse_layer(content["config"], folder, path)[1] if isinstance(content.get("config"), dict) else None
    return Manifest(
        name=name_of(path, folder),
        path=path,
        config=config,
        models=tuple(found.get("model", ())),
        projectors=tuple(found.get("projector", ())),
        adapters=tuple(found.get("adapter", ())),
        parameters=found["params"][0] if "params" in found else None,
        tensors="tensor" in found,
    )


def parse_layer(layer: object, folder: Path, where: Path) -> tuple[str, Path]:
    """Kind and blob of one layer. Raises BadInput."""
    kind = layer.get("mediaType") if isinstance(layer, dict) else None
    digest = layer.get("digest") if isinstance(layer, dict) else None
    match = DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None or not isinstance(kind, str):
        raise BadInput(f"{where}: a layer has no digest like sha256:..., expected a manifest of Ollama")
    return kind.removeprefix(MEDIA), folder / "blobs" / f"sha256-{match[1]}"


def list_one(manifest: Manifest) -> LocalModel | BrokenModel | None:
    """One model of a store; None where its weights are not GGUF or run elsewhere."""
    if not manifest.models:
        # models of Ollama's cloud have a manifest and no weights; MLX models have tensors of their own
        return None
    blob = manifest.models[0]
    if not blob.exists():
        raise BadInput(f"{manifest.path} names the blob {blob.name}, which is not there: pull the model again")
    stated = stated_config(manifest)
    entry = look_into(blob, "ollama", manifest.name, stated or "")
    if not isinstance(entry, LocalModel):
        return entry
    return replace(
        entry,
        size_bytes=sum(path.stat().st_size for path in manifest.models),
        file_type=entry.file_type or None,
        projector=str(manifest.projectors[0]) if manifest.projectors else None,
        adapters=tuple(str(path) for path in manifest.adapters),
        parameters=options(manifest),
    )


def stated_config(manifest: Manifest) -> str | None:
    """The file type by the configuration of a model; None where it does not say it."""
    if manifest.config is None:
        return None
    try:
        value = read_object(manifest.config, MAX_MANIFEST_BYTES).get("file_type")
    except BadInput:
        return None
    return value[:20] if isinstance(value, str) and value and value != "unknown" else None


def options(manifest: Manifest) -> tuple[tuple[str, int], ...]:
    """Options that decide memory, as the model sets them."""
    if manifest.parameters is None:
        return ()
    try:
        given = read_object(manifest.parameters, MAX_PARAMETERS_BYTES)
    except BadInput:
        return ()
    found = ((name, whole(given.get(name))) for name in OPTIONS)
    return tuple((name, value) for name, value in found if value is not None)


def find_manifest(name: str, folders: tuple[Path, ...]) -> Manifest:
    """The model of a name as people type it (llama3.1:8b, user/model, hf.co/owner/name:Q4_K_M).

    Raises Missing where no store has it, BadInput where its manifest is damaged.
    """
    parts = full_name(name)
    for folder in folders:
        path = folder.joinpath("manifests", *parts)
        if path.is_file():
            return read_manifest(path, folder)
        # names are written in any case: the folder has its own
        for other in manifests(folder):
            if tuple(part.lower() for part in other.parts[-4:]) == tuple(part.lower() for part in parts):
                return read_manifest(other, folder)
    looked = " or ".join(str(folder) for folder in folders)
    raise Missing(
        f"{name[:80]!r} is not in the store of Ollama ({looked}): ollama pull {name[:80]}, or see ollama list"
    )


def full_name(name: str) -> tuple[str, str, str, str]:
    """Host, namespace, model and tag of a name. Raises BadInput."""
    path, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", TAG)
    parts = path.split("/")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[\w][\w.-]*", part) for part in (*parts, tag)):
        raise BadInput(f"{name[:80]!r} is not a name of Ollama, expected model:tag or namespace/model:tag")
    host, namespace = HOST, NAMESPACE
    if len(parts) == 3:
        host, namespace = parts[0], parts[1]
    elif len(parts) == 2:
        namespace = parts[0]
    return host, namespace, parts[-1], tag


def read_model(name: str, folders: tuple[Path, ...]) -> ModelSpec:
    """The model of a name in the store. Raises BadInput, Missing, NotModelled."""
    manifest = find_manifest(name, folders)
    if not manifest.models:
        what = "MLX, which is not modelled" if manifest.tensors else "the cloud"
        raise BadInput(f"{manifest.name} has no GGUF weights in the store of Ollama: it runs with {what}")
    files = tuple(read_gguf(path) for path in manifest.models)
    model = gguf_model(files, f"ollama:{manifest.name}", f"Ollama: {manifest.name}, {manifest.models[0]}")
    if manifest.projectors:
        model = replace(model, projector=read_projector(manifest.projectors[0]))
    return replace(model, adapters=tuple(read_adapter(path, model) for path in manifest.adapters))
