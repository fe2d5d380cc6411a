"""GGUF files of a folder as a list of models: parts together, towers beside their model, a short look into each."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.gguf_file_types import FILE_TYPES, file_type_of_name
from vram_advisor.domain.local_model import BrokenModel, LocalModel, Store
from vram_advisor.sources.answers import whole
from vram_advisor.sources.gguf import ARCHITECTURE, peek_gguf, read_gguf
from vram_advisor.sources.gguf_cursor import Value
from vram_advisor.sources.gguf_split import PART, part_names, stem_of
from vram_advisor.sources.json_files import reason
from vram_advisor.units.errors import BadInput

NameOf = Callable[[Path], str]
MAX_ENTRIES = 100_000
"""Most files and folders that are looked at in one store."""


def walk(root: Path, depth: int) -> Iterator[Path]:
    """Files of a folder down to a depth, in order of their names; links to folders are followed, loops end at the depth.

    A folder that cannot be read holds nothing.
    """
    left = MAX_ENTRIES

    def inside(folder: Path, levels: int) -> Iterator[Path]:
        nonlocal left
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return
        for entry in listed:
            left -= 1
            if left < 0:
                return
            try:
                is_folder = entry.is_dir()
            except OSError:
                continue
            if is_folder and levels:
                yield from inside(Path(entry.path), levels - 1)
            elif not is_folder:
                yield Path(entry.path)

    return inside(root, depth)


def is_gguf(path: Path) -> bool:
    """Whether a name is that of a GGUF file."""
    return path.name.lower().endswith(".gguf")


def is_projector(path: Path) -> bool:
    """Whether a name is that of a vision or audio tower."""
    return "mmproj" in path.name.lower()


def is_first(path: Path) -> bool:
    """Whether a GGUF file is a model, or the first part of one, by its name."""
    match = PART.fullmatch(path.name)
    return not is_projector(path) and "imatrix" not in path.name.lower() and (not match or int(match["number"]) == 1)


def only_model(folder: Path) -> Path:
    """The one model in a folder of GGUF files. Raises BadInput that names them where there are several or none."""
    found = [path for path in walk(folder, 0) if is_gguf(path) and is_first(path)]
    if len(found) != 1:
        names = ", ".join(path.name[:80] for path in found[:6]) or "no model"
        raise BadInput(f"{folder} holds {names}: give one file")
    return found[0]


def list_gguf(files: Iterable[Path], store: Store, name_of: NameOf) -> Iterator[LocalModel | BrokenModel]:
    """Models among files, one for all parts of it; towers go to the models of their folder, adapters are left out."""
    paths = [path for path in files if is_gguf(path)]
    towers = {path.parent: path for path in paths if is_projector(path)}
    for path in paths:
        if not is_first(path):
            continue
        entry = look_into(path, store, name_of(path))
        if isinstance(entry, LocalModel) and path.parent in towers:
            entry = replace(entry, projector=str(towers[path.parent]))
        if entry is not None:
            yield entry


def look_into(path: Path, store: Store, name: str, file_type: str | None = None) -> LocalModel | BrokenModel | None:
    """One model by its first file; None where the file is an adapter or a tower."""
    try:
        metadata = peek_gguf(path)
        architecture = metadata.get("general.architecture")
        if metadata.get("general.type") in ("adapter", "imatrix", "mmproj") or architecture == "clip":
            return None
        if not isinstance(architecture, str) or not architecture:
            raise BadInput(f"{path}: general.architecture is missing, expected the name of an architecture")
        if not ARCHITECTURE.fullmatch(architecture):
            raise BadInput(
                f"{path}: general.architecture is {architecture[:60]!r}, expected the name of an architecture"
            )
        file = path.stat()
        return LocalModel(
            name=name,
            store=store,
            path=str(path),
            format="gguf",
            size_bytes=size_of_parts(path),
            file_type=file_type or type_of(path, metadata),
            architecture=architecture,
            context_length=whole(metadata.get(f"{architecture}.context_length")),
            identity=(file.st_dev, file.st_ino),
        )
    except (BadInput, OSError) as error:
        return BrokenModel(name=name, store=store, path=str(path), reason=sentence(error, path))


def size_of_parts(path: Path) -> int:
    """Bytes of all parts of a model [B]. Raises BadInput where one is missing."""
    total = 0
    for name in part_names(path.name):
        part = path.parent / name
        try:
            total += part.stat().st_size
        except OSError as error:
            raise BadInput(f"{part} cannot be read: {reason(error)}") from None
    return total


def type_of(path: Path, metadata: Mapping[str, Value]) -> str | None:
    """The file type: by the name, which costs nothing, else by the metadata, which may stand behind the vocabulary."""
    named = file_type_of_name(stem_of(path.name))
    if named:
        return named
    number = metadata.get("general.file_type")
    if number is None:
        number = read_gguf(path).metadata.get("general.file_type")
    return FILE_TYPES.get(number) if isinstance(number, int) else None


def sentence(error: Exception, path: Path) -> str:
    """What is wrong with an entry."""
    return str(error) if isinstance(error, BadInput) else f"{path} cannot be read: {reason(error)}"
