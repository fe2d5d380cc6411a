"""The catalogue of models, ``data/models.toml``.

Parsing all of it takes a tenth of a second, so a question about one model reads the text, finds the one block whose
head names it, and parses that block alone.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

from vram_advisor.domain.architectures import TOWER_NOTE, build
from vram_advisor.domain.model import ModelSpec
from vram_advisor.sources.data_files import data_path
from vram_advisor.units.errors import BadInput, NotModelled
from vram_advisor.units.record import check, read_record

FILE = "models.toml"
SEPARATOR = "[[model]]\n"
HEAD = re.compile(r'\n\[\[model\]\]\nid = "([^"]+)"\naliases = \[([^\]]*)\]\nhf_repo = "([^"]*)"\n')
"""It begins with fixed text, which is searched for five times as fast as the start of a line."""
QUOTED = re.compile(r'"([^"]+)"')
UNCONFIRMED = frozenset({"near", "by-difference", "published-only", "no-published-count"})
"""Ways to compare with the published count that leave a doubt; the others agree to the parameter."""
TUNING_WORDS = frozenset({"instruct", "chat", "it", "base", "hf"})
"""Words of a name that do not change the shape of the model."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Parameters:
    """Parameter counts of a row [elements]."""

    total: int
    """Text model and towers, tied weights once, without multi-token prediction."""
    text: int | None = None
    """None where only the whole is published."""
    vision_audio: int
    mtp: int
    """Multi-token-prediction module, not part of the total."""
    active: int
    """Text parameters that one token passes."""
    published: int | None = None
    """What Hugging Face shows for the repository."""
    match: str
    """How total and published compare."""
    match_note: str | None = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ModelRecord:
    """One row of the catalogue."""

    id: str
    aliases: tuple[str, ...]
    hf_repo: str
    family: str
    checked: date
    sources: tuple[str, ...]
    release_date: str | None = None
    hf_created: str | None = None
    licence: str | None = None
    ollama_tag: str | None = None
    ollama_check: str | None = None
    """Where the tag was found; unverified: it is recalled."""
    native_dtype: str | None = None
    """dtype of the published weights in words."""
    context_note: str | None = None
    parameters: Parameters
    config: dict[str, object]
    """Keys of Hugging Face's ``config.json``."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelEntry:
    """The head of a row, for lists."""

    id: str
    aliases: tuple[str, ...]
    hf_repo: str


def normal(name: str) -> str:
    """A name as the catalogue writes it: lower case, dashes for spaces, underscores and the colon of an Ollama tag."""
    return re.sub(r"[\s_:]+", "-", name.strip().lower())


def untuned(name: str) -> str:
    """A normal name without the words that do not change the shape (instruct, chat, it, base, hf)."""
    owner, slash, model = name.rpartition("/")
    return owner + slash + "-".join(word for word in model.split("-") if word not in TUNING_WORDS)


@cache
def catalogue_text() -> str:
    """The text of the data file."""
    return data_path(FILE).read_text(encoding="utf-8")


@cache
def entries() -> dict[str, tuple[ModelEntry, int]]:
    """For each id, the head of its row and where its block begins in the text, in the order of the file."""
    found = {}
    for match in HEAD.finditer(catalogue_text()):
        id, aliases, repo = match.groups()
        found[id] = ModelEntry(id, tuple(QUOTED.findall(aliases)), repo), match.start() + 1
    return found


@cache
def names() -> dict[str, str]:
    """Every exact name (id, alias, Hugging Face repository) in normal form, and its id."""
    exact: dict[str, str] = {}
    for entry, _ in entries().values():
        for name in (entry.id, *entry.aliases):
            exact[name] = entry.id
    for entry, _ in entries().values():
        exact.setdefault(normal(entry.hf_repo), entry.id)
    return exact


@cache
def shape_names() -> dict[str, str | None]:
    """Every name without its tuning words, and its id; None where two rows of different shape share it."""
    shapes: dict[str, str | None] = {}
    for name, id in names().items():
        short = untuned(name)
        shapes[short] = id if shapes.get(short, id) == id else None
    return shapes


def list_models() -> tuple[ModelEntry, ...]:
    """The heads of all rows, sorted by id."""
    return tuple(entry for entry, _ in entries().values())


def model_id(name: str) -> str | None:
    """Id of the row that a name means; None where no row or more than one is meant."""
    wanted = normal(name)
    return names().get(wanted) or shape_names().get(untuned(wanted))


def block_text(id: str) -> str:
    """The text of one row."""
    start = entries()[id][1]
    text = catalogue_text()
    end = text.find("\n" + SEPARATOR, start)
    return text[start : end if end >= 0 else len(text)]


def find_record(name: str) -> ModelRecord:
    """The row that a name means: an id, an alias, a Hugging Face repository of a row; upper and lower case alike.

    Raises BadInput with the nearest valid names.
    """
    id = model_id(name)
    if id is None:
        # difflib takes some milliseconds to import and is needed for an error only.
        from difflib import get_close_matches

        asked = normal(name)[:80]
        near = [known for known in names() if len(asked) > 2 and asked in known]
        near = list(dict.fromkeys(near + get_close_matches(asked, names(), n=3, cutoff=0.5)))[:3]
        hint = f"the nearest names are {', '.join(near)}" if near else "`vram-advisor models` lists the names"
        raise BadInput(f"model {name[:80]!r} is not in the catalogue; {hint}")
    try:
        block = tomllib.loads(block_text(id))["model"][0]
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"data/{FILE}: the row {id} is not TOML: {error}") from None
    return read_record(ModelRecord, block, f"data/{FILE}: the row {id}")


def find_model(name: str) -> ModelSpec:
    """The model that a name means, with its published counts.

    Raises BadInput with the nearest valid names, NotModelled for a row whose architecture has no formula.
    """
    return to_spec(find_record(name))


def modelled(ids: Sequence[str] | None = None) -> tuple[ModelSpec, ...]:
    """The models of these ids, or of all rows, that have a formula; a tenth of a second for all."""
    found = []
    for id in entries() if ids is None else ids:
        try:
            found.append(to_spec(find_record(id)))
        except NotModelled:
            continue
    return tuple(found)


def smaller_siblings(id: str) -> tuple[ModelSpec, ...]:
    """Models of the same family in the catalogue that have a formula and fewer parameters; none for other models."""
    if id not in entries():
        return ()
    record = find_record(id)
    found = []
    for entry in list_models():
        if entry.id == id or f'family = "{record.family}"' not in block_text(entry.id):
            continue
        sibling = find_record(entry.id)
        if sibling.parameters.total < record.parameters.total:
            try:
                found.append(to_spec(sibling))
            except NotModelled:
                continue
    return tuple(found)


def to_spec(record: ModelRecord) -> ModelSpec:
    """The dimensions of a row, built from its configuration."""
    model = build(record.config, id=record.id, where=f"data/{FILE}: {record.id}")
    counts = record.parameters
    notes = tuple(note for note in model.notes if note != TOWER_NOTE or not counts.vision_audio)
    if counts.match in UNCONFIRMED:
        notes += (f"parameter count: {counts.match}" + (f" ({counts.match_note})" if counts.match_note else ""),)
    return replace(
        model,
        tower_parameters=counts.vision_audio,
        parameters_published=counts.published,
        source=f"catalogue, checked {record.checked}: {record.hf_repo}",
        notes=notes,
    )
