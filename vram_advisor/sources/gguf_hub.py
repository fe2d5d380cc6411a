"""The model of a GGUF repository of the Hugging Face hub, from the headers of its files by HTTP ranges.

``huggingface_hub`` brings the client, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE; a file that is in its cache at the
current commit is read there.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.answers import objects, text
from vram_advisor.sources.file_head import FileHead
from vram_advisor.sources.gguf import GgufFile, parse_gguf, read_gguf
from vram_advisor.sources.gguf_model import gguf_model
from vram_advisor.sources.gguf_reference import Reference
from vram_advisor.sources.gguf_split import PART, collect, read_parts, stem_of
from vram_advisor.sources.hf_cache import cached_gguf
from vram_advisor.sources.hub import endpoint, quiet, unreachable
from vram_advisor.sources.hub_answers import ask_repository
from vram_advisor.sources.hub_folders import cache_folders
from vram_advisor.sources.hub_ranges import HubFile
from vram_advisor.units.errors import BadInput, Missing

DEFAULT_TAGS = ("Q4_K_M", "Q8_0")
"""What llama.cpp takes where nobody says it (``common/download.cpp`` find_best_model)."""
OTHER_FILES = re.compile(r"(^|[/_.-])(mmproj|imatrix|mtp)[-_.]", re.IGNORECASE)
"""Files beside the model: its tower, its importance matrix, its draft layers."""
SHOWN = 12
"""Names that a message lists."""


def fetch_gguf(asked: Reference) -> ModelSpec:
    """The model of a repository, from the headers of its files.

    Raises BadInput (no such repository or file, gated, damaged), Missing (no network, ``huggingface_hub`` not
    installed), NotModelled.
    """
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise Missing(f"{asked.repo} is on the hub, which needs huggingface_hub: pip install huggingface_hub") from None
    with quiet():
        try:
            commit, names = list_files(asked)
        except Missing as absent:
            try:
                return from_cache(asked)
            except Missing:
                raise absent from None
        file = choose(asked, names)
        folder, _, name = file.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        files = collect(name, lambda part: read_hub_header(asked.repo, f"{prefix}{part}", commit))
    return gguf_model(files, f"{asked.repo}:{stem_of(name)}", f"Hugging Face: {asked.repo}, {file}")


def from_cache(asked: Reference) -> ModelSpec:
    """The model of a repository from the local cache. Raises Missing where it has none."""
    from huggingface_hub import constants

    found = cached_gguf(asked.repo, (Path(constants.HF_HUB_CACHE), *cache_folders()))
    if found is None:
        raise unreachable(asked.repo)
    snapshot, listed = found
    file = choose(asked, [name for name in listed if is_model(name)])
    source = f"Hugging Face: {asked.repo}, {file}, from the local cache"
    return gguf_model(read_parts(snapshot / file), f"{asked.repo}:{stem_of(Path(file).name)}", source)


def list_files(asked: Reference) -> tuple[str, tuple[str, ...]]:
    """The current commit of a repository and its GGUF files that hold a model. Raises BadInput, Missing."""
    answer = ask_repository(asked.repo, ("siblings", "sha"), endpoint(), asked.revision)
    if answer is None:
        raise unreachable(asked.repo)
    listed = objects(answer, "siblings")
    names = tuple(sorted(name for entry in listed if (name := text(entry, "rfilename")) and is_model(name)))
    if not names:
        raise BadInput(f"{asked.repo} has no GGUF file on the hub")
    return text(answer, "sha") or "main", names


def is_model(name: str) -> bool:
    """Whether a file of a repository holds a model, or the part of one."""
    return name.lower().endswith(".gguf") and name.isprintable() and not OTHER_FILES.search(name)


def choose(asked: Reference, names: Sequence[str]) -> str:
    """The file that is meant by its name, by a tag, or by neither. Raises BadInput that lists what there is."""
    if asked.file:
        if asked.file not in names:
            raise BadInput(f"{asked.repo} has no file {asked.file[:120]!r}{offered(names)}")
        return asked.file
    firsts = [name for name in names if (match := PART.fullmatch(name)) is None or int(match["number"]) == 1]
    for tag in (asked.tag,) if asked.tag else DEFAULT_TAGS:
        pattern = re.compile(rf"(^|[-./_]){re.escape(tag)}($|[-./])", re.IGNORECASE)
        for name in firsts:
            if pattern.search(stem_of(name)):
                return name
    if asked.tag or not firsts:
        raise BadInput(f"{asked.repo} has no file of the type {asked.tag}{offered(firsts or names)}")
    return firsts[0]


def offered(names: Sequence[str]) -> str:
    """The end of a sentence: what there is instead."""
    shown = ", ".join(stem_of(name)[:80] for name in names[:SHOWN])
    return f"; it has {shown}{' ...' if len(names) > SHOWN else ''}"


def read_hub_header(repo: str, name: str, commit: str) -> GgufFile:
    """The header of one file: from the cache where it is there, else by ranges. Raises BadInput, Missing."""
    import huggingface_hub as hub

    cached = hub.try_to_load_from_cache(repo, name, revision=commit)
    if isinstance(cached, str):
        return read_gguf(Path(cached))
    file = HubFile(repo, name, commit)
    return parse_gguf(FileHead(file.fetch, file.size(), f"{repo}: {name}"))
