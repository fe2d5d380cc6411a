"""Files of other programs as documents of keys, whatever is wrong with them: one sentence, bounded time and memory."""

from __future__ import annotations

import json
from typing import Any

from vram_advisor.exchange.keys import Document
from vram_advisor.units.errors import BadInput

MAX_BYTES = 4 << 20
"""Largest file that is read [B]."""
MAX_VALUES = 200_000
MAX_DEPTH = 50


def text_of(data: bytes, where: str) -> str:
    """Bytes of a file as text.

    Raises:
        BadInput: too large, empty, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise BadInput(f"{where} has more than {MAX_BYTES:,} bytes, which no configuration has.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not a configuration: it is not UTF-8 text.") from None
    if not text.strip():
        raise BadInput(f"{where} is empty.")
    return text


def parse_mapping(text: str, where: str) -> dict[str, Any]:
    """The mapping that a text of JSON or YAML holds.

    Raises:
        BadInput: it is neither, or holds something else.
    """
    value = parse_json(text, where) if text.lstrip().startswith("{") else None
    if value is None:
        from vram_advisor.exchange.yaml_documents import parse_yaml

        value = parse_yaml(text, where)
    if not isinstance(value, dict):
        kind = "nothing" if value is None else "a list" if isinstance(value, list) else "one value"
        raise BadInput(f"{where} holds {kind}: expected keys with values.")
    return value


def parse_json(text: str, where: str) -> Any:
    """The value that a text of JSON holds; None where it is none, as YAML may begin with a brace too.

    Raises:
        BadInput: too many values, nested too deeply, a key twice, or a number that is none.
    """
    if text.count(",") + text.count("{") + text.count("[") > MAX_VALUES:
        raise BadInput(f"{where} holds more than {MAX_VALUES:,} values, which no configuration has.")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise BadInput(f"{where}: {twice[:60]} is there twice: keep one of the two.")
        return made

    def constant(name: str) -> float:
        raise BadInput(f"{where}: {name} is not a number of JSON.")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=constant)
    except json.JSONDecodeError:
        return None
    except RecursionError:
        raise BadInput(f"{where}: its JSON is nested too deeply.") from None
    except ValueError as error:
        raise BadInput(f"{where} is not JSON: {str(error)[:80]}.") from None


def flatten(mapping: dict[str, Any], where: str) -> Document:
    """Nested keys as keys with dots.

    Raises:
        BadInput: nested too deeply, or two spellings of one key.
    """
    flat: Document = {}
    waiting: list[tuple[str, dict[str, Any], int]] = [("", mapping, 1)]
    while waiting:
        prefix, level, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BadInput(f"{where}: {prefix[:60]}... is nested more than {MAX_DEPTH} levels deep.")
        for name, value in level.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict) and value:
                waiting.append((f"{key}.", value, depth + 1))
                continue
            if key in flat:
                raise BadInput(f"{where}: {key[:60]} is there twice: keep one of the two.")
            flat[key] = None if isinstance(value, dict) else value
    return flat


def nest(document: Document) -> dict[str, Any]:
    """Keys with dots as nested keys, in their order."""
    made: dict[str, Any] = {}
    for key, value in document.items():
        *path, last = key.split(".")
        level = made
        for name in path:
            level = level.setdefault(name, {})
        level[last] = list(value) if isinstance(value, tuple) else value
    return made


def shown(value: object) -> str:
    """A value of a file in one short line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        text = ", ".join(shown(each) for each in list(value)[:12])
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, int) and value.bit_length() > 64:
        text = "a number with many digits"
    else:
        text = " ".join(str(value)[:200].split())
    return text if len(text) <= 60 else f"{text[:60]}..."
