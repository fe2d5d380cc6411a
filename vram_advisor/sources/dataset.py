"""Lengths in tokens of the examples of a dataset on disk, in its order.

Read are plain files of whole numbers (one length per line), JSON lines, a JSON list, Parquet, and text (one example per
line). Files are streamed: what is kept is one number per example.
Text is counted by the model's own tokenizer where a copy of it is on this machine, and else by a ratio that the answer
states; nothing is downloaded.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from vram_advisor.sources.catalog_models import find_record, model_id
from vram_advisor.sources.models import REPOSITORY
from vram_advisor.sources.parquet import ParquetRows, is_parquet
from vram_advisor.units.errors import BadInput

CHARACTERS_PER_TOKEN = 4.0
"""Of English text in the vocabularies of today's models; other scripts take more tokens, so lengths come out short."""
TOKENIZER = "tokenizer.json"
MOST_EXAMPLES = 1_000_000
"""Examples that are read; the lengths of more say nothing new, and ``Lengths.share`` says how many there are."""
LARGEST_LIST = 1 << 30
"""Largest file that is one JSON list [B]: it cannot be streamed."""
LONGEST_LINE = 64 << 20
"""Longest line that is read [characters]."""
NO_TEXT = frozenset({"role", "from", "id", "source", "url", "name", "type"})
"""Keys of records whose text is not trained on."""
COUNTED = ("num_tokens", "length", "n_tokens")
"""Keys of records that already say the length."""

Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of examples."""

    tokens: tuple[int, ...]
    how: str
    """How they were counted, in words."""
    share: float = 1.0
    """Share of the file that was read; below 1 the dataset has so many times more examples."""


def read_lengths(path: str | Path, model: str) -> Lengths:
    """The lengths of the examples in a file, for a model by the name that a person gave.

    Raises:
        BadInput: the file cannot be read, or has no examples.
    """
    file = Path(os.path.expanduser(path))
    if is_parquet(file):
        count, how = _counter(model)
        table = ParquetRows(file, MOST_EXAMPLES)
        return _kept(file, (_length(row, count) for row in table), how, lambda: table.share)
    lines = _Lines(file)
    first = next(iter(_Lines(file)), None)
    if first is None:
        raise BadInput(f"{file} has no examples.")
    if _whole(first) is not None:
        return _kept(file, _numbers(lines), "as the file says", lambda: lines.share)
    count, how = _counter(model)
    records = first.lstrip().startswith(("{", "["))
    found = _of_records(lines, count) if records else (count(line) for line in lines)
    return _kept(file, found, how, lambda: lines.share)


def _kept(file: Path, found: Iterator[int], how: str, share: Callable[[], float]) -> Lengths:
    try:
        tokens = tuple(length for length in found if length > 0)
    except RecursionError:
        raise BadInput(f"{file}: an example is nested too deeply to be text.") from None
    if not tokens:
        raise BadInput(f"{file} has no examples with text.")
    return Lengths(tokens, how, share())


class _Lines:
    """Lines with something on them, up to ``MOST_EXAMPLES``; afterwards the share of the file that they are."""

    def __init__(self, file: Path) -> None:
        self.file, self.share = file, 1.0

    def __iter__(self) -> Iterator[str]:
        file = self.file
        seen = read = 0
        try:
            with file.open(encoding="utf-8-sig") as text:
                while line := text.readline(LONGEST_LINE + 1):
                    if seen == MOST_EXAMPLES:
                        self.share = min(1.0, read / max(1, file.stat().st_size))
                        return
                    if len(line) > LONGEST_LINE:
                        raise BadInput(f"{file} has a line of more than {LONGEST_LINE:,} characters.")
                    read += len(line) if line.isascii() else len(line.encode())
                    if line := line.strip():
                        seen += 1
                        yield line
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror or error}.") from None
        except UnicodeDecodeError:
            raise BadInput(
                f"{file} is no text in UTF-8: give JSON lines, Parquet, text, or one length per line."
            ) from None


def _numbers(lines: _Lines) -> Iterator[int]:
    for number, line in enumerate(lines, 1):
        length = _whole(line)
        if not length:
            raise BadInput(
                f"{lines.file}: example {number} is {line[:40]!r}, expected a length in tokens as in the first."
            )
        yield length


def _whole(line: str) -> int | None:
    return int(line) if line.isascii() and line.isdigit() and len(line) < 12 else None


def _of_records(lines: _Lines, count: Count) -> Iterator[int]:
    """Lengths of records: one per line, or all in one list."""
    file = lines.file
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            if number == 1 and line.startswith("["):
                yield from (_length(each, count) for each in _whole_list(file))
                return
            raise BadInput(f"{file}: example {number} is no JSON: {line[:40]!r}.") from None
        if isinstance(value, list) and number == 1:
            yield from (_length(each, count) for each in value[:MOST_EXAMPLES])
            return
        yield _length(value, count)


def _whole_list(file: Path) -> list[Any]:
    if file.stat().st_size > LARGEST_LIST:
        raise BadInput(f"{file} is one JSON list of more than 1 GiB: give one record per line.")
    try:
        value = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError):
        raise BadInput(f"{file} is no JSON: give one record per line, or one list of records.") from None
    if not isinstance(value, list):
        raise BadInput(f"{file} is no list of records.")
    return value[:MOST_EXAMPLES]


def _length(record: Any, count: Count) -> int:
    """Tokens of one record: as it says itself, else of all its text."""
    if isinstance(record, dict):
        if isinstance(ids := record.get("input_ids"), list):
            return len(ids)
        for key in COUNTED:
            if isinstance(said := record.get(key), int) and not isinstance(said, bool):
                return said
    return count("\n".join(_texts(record)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in NO_TEXT:
                yield from _texts(each)


def _counter(model: str) -> tuple[Count, str]:
    """What counts the tokens of a text, and how that is said."""
    file = tokenizer_file(model)
    if file is not None:
        try:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(file))
        except Exception:
            # The library is not installed, or the file is of a form that its version does not read.
            pass
        else:
            return lambda text: len(tokenizer.encode(text).ids), "by the tokenizer of the model"
    ratio = CHARACTERS_PER_TOKEN
    return (
        lambda text: ceil(len(text) / ratio),
        f"at {ratio:g} characters per token, as the tokenizer of the model is not on this machine",
    )


def tokenizer_file(model: str) -> Path | None:
    """The tokenizer of a model that is on this machine: in its folder, or in the cache of the hub."""
    place = Path(os.path.expanduser(model))
    folder = place if place.is_dir() else place.parent
    if (place.is_dir() or place.is_file()) and (folder / TOKENIZER).is_file():
        return folder / TOKENIZER
    known = model_id(model)
    repository = find_record(known).hf_repo if known else model
    if not REPOSITORY.fullmatch(repository):
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(repository, TOKENIZER)
    return Path(found) if isinstance(found, str) else None
