"""Command lines as documents of flags: words are split as a shell splits them, and nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from vram_advisor.exchange.keys import Document, Value
from vram_advisor.units.errors import BadInput

MAX_CHARACTERS = 64 << 10
NUMBER = re.compile(r"-\d|-\.\d")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
BESIDE = ("#", "set ", "cd ", "source ", ". ", "module ", "conda ", "mkdir ", "echo ", "ulimit ")
"""How lines of a script begin that make the shell ready."""
ENVIRONMENT = "env."
"""In front of the names of variables that are set before a command."""
POSITIONAL = "(first)"
"""The word that no flag is in front of."""


def is_beside(line: str) -> bool:
    """Whether a line of a script starts nothing that is estimated: a comment, or what makes the shell ready."""
    return not line.strip() or line.lstrip().startswith(BESIDE)


def words_of(text: str, where: str) -> list[str]:
    """The words of the first command of a text, behind the variables that are exported before it.

    Lines that end in a backslash go on.

    Raises:
        BadInput: a quotation is not closed, or there is no command.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{where} has more than {MAX_CHARACTERS:,} characters, too many for a command line.")
    joined = re.sub(r"[\\^`][ \t]*\r?\n", " ", text)
    exported: list[str] = []
    for line in joined.splitlines():
        if is_beside(line):
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            raise BadInput(f"{where}: a quotation is not closed.") from None
        if words[:1] == ["export"]:
            exported += [word for word in words[1:] if ASSIGNMENT.match(word)]
        elif words:
            return [*exported, *words]
    raise BadInput(f"{where}: there is no command in it.")


def split_environment(words: Sequence[str]) -> tuple[Document, list[str]]:
    """Variables that are set before a command, and the command."""
    found: Document = {}
    left = list(words)
    while left and (ASSIGNMENT.match(left[0]) or left[0] in ("env", "sudo", "nohup", "time", "$")):
        name, equals, value = left.pop(0).partition("=")
        if equals:
            found[f"{ENVIRONMENT}{name}"] = value
    return found, left


def flags(
    words: Sequence[str], where: str, spellings: Mapping[str, str] | None = None, switches: frozenset[str] = frozenset()
) -> Document:
    """Flags and their values; a flag without one is true.

    Args:
        spellings: other names of a flag, such as ``-c``.
        switches: flags that never take a value.

    Raises:
        BadInput: a flag is there twice.
    """
    found: Document = {}
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if not is_flag(word):
            if word in ("&&", "||", ";", "|", "&", ">", "2>&1", ">>"):
                break
            found.setdefault(POSITIONAL, word)
            continue
        name, equals, value = word.partition("=")
        name = name if not name.startswith("--") else f"--{name[2:].replace('_', '-')}"
        name = (spellings or {}).get(name, name)
        values: list[str] = [value] if equals else []
        while not equals and name not in switches and i < len(words) and not is_flag(words[i]):
            if words[i] in ("&&", "||", ";", "|", "&", ">", "2>&1", ">>"):
                break
            values.append(words[i])
            i += 1
        if name in found:
            raise BadInput(f"{where}: {name} is there twice: keep one of the two.")
        found[name] = True if not values else values[0] if len(values) == 1 else values
    return found


def is_flag(word: str) -> bool:
    """Whether a word is a flag and no negative number."""
    return len(word) > 1 and word.startswith("-") and not NUMBER.match(word)


def command(words: Sequence[str], document: Document) -> str:
    """A command line of several lines, one flag per line."""
    lines = [shlex.join(words)]
    for name, value in document.items():
        lines.append(" ".join([name, *_written(value)]))
    return " \\\n  ".join(line.rstrip() for line in lines) + "\n"


def _written(value: Value | Any) -> list[str]:
    if value is True:
        return []
    if isinstance(value, list | tuple):
        return [shlex.quote(str(part)) for part in value]
    return [shlex.quote(f"{value:g}" if isinstance(value, float) else str(value))]
