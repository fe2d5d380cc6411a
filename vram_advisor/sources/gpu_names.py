"""Names of GPUs as people type them and as drivers print them, taken apart into words."""

import re
from collections.abc import Sequence

_PREFIXES = frozenset({"nvidia", "geforce", "amd", "radeon", "intel", "tesla", "apple"})
_LINES = frozenset({"rtx", "gtx", "rx", "arc", "pro", "jetson", "apple", "radeon"})
_HARMLESS = _PREFIXES | {"corporation", "gpu", "graphics", "series"}
_WORD = re.compile(r"[a-z0-9]+")
_TRADEMARK = re.compile(r"\((?:r|tm|c)\)")
_LEAD_END = re.compile(r"[,(\[|/]")
_SIZE = re.compile(r"([1-9]\d{0,4})(?:gb|gib|g)", re.ASCII)
_VARIANT = re.compile(r"\d+gb|pcie|sxm\d?|nvl|\d+c")


def words(name: str) -> tuple[str, ...]:
    """Lower-case words of a name without the maker's; a size is one word.

    >>> words("NVIDIA GeForce RTX_4060 Ti 16 GB")
    ('rtx', '4060', 'ti', '16gb')
    """
    found = _WORD.findall(_TRADEMARK.sub(" ", name.lower()))
    while len(found) > 1 and found[0] in _PREFIXES:
        del found[0]
    joined: list[str] = []
    for word in found:
        if word in ("gb", "gib") and joined and joined[-1].isdigit():
            joined[-1] += "gb"
        else:
            joined.append(word)
    return tuple(joined)


def key(name: str) -> str:
    """What two spellings of one name have in common: case, separators and the maker do not count."""
    return "".join(words(name))


def split_size(name: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """The words without a size, and that size [GiB].

    >>> split_size(("m4", "max", "64gb"))
    (('m4', 'max'), 64)
    """
    for position, word in enumerate(name):
        if size := _SIZE.fullmatch(word):
            return (*name[:position], *name[position + 1 :]), int(size.group(1))
    return tuple(name), None


def find_run(run: Sequence[str], inside: Sequence[str]) -> int | None:
    """Where ``run`` stands in ``inside`` as neighbouring whole words."""
    length = len(run)
    for start in range(len(inside) - length + 1) if length else ():
        if tuple(inside[start : start + length]) == tuple(run):
            return start
    return None


def is_variant(asked: Sequence[str], card: Sequence[str]) -> bool:
    """The card is what was asked for but for product line, memory size or socket: ``3060`` and ``rtx 3060 12gb``."""
    start = find_run(asked, card)
    if start is None:
        return False
    before, after = card[:start], card[start + len(asked) :]
    return all(word in _LINES for word in before) and all(_VARIANT.fullmatch(word) for word in after)


def names_card(reported: str, card_name: str) -> int:
    """How many words of a driver's text name this card; 0 when it is another one.

    Words are compared whole, and what the text says besides must be harmless: ``RTX 3060`` is not in ``RTX 3060 Ti``,
    nor ``M2`` in ``P100 SXM2``. What follows a comma or a bracket may say anything.
    """
    text, card = words(reported), words(card_name)
    start = find_run(card, text)
    if start is None:
        return 0
    lead = words(_LEAD_END.split(_TRADEMARK.sub(" ", reported.lower()), maxsplit=1)[0])
    beside = (*lead[:start], *lead[start + len(card) :])
    return len(card) if all(word in _HARMLESS for word in beside) else 0
