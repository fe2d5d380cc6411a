"""Over a long list of texts by a look at few of its bytes: a vocabulary has megabytes, and its length is written nowhere.

Each text is its length in eight bytes, and the text. A place inside such a list is recognised without knowing which
text it is in: from some byte near it on, a chain of lengths leads from text to text. Behind the list stand a key and its
value, where the chain breaks. So a few windows, far apart at first, say where the list ends.

The number of the texts is not counted, so the place found is a guess: whoever uses it has to see that everything behind
it is as the header announces, and else to walk from text to text.
"""

import re
import struct

from vram_advisor.sources.file_head import LONGEST_HEAD, FileHead

WIDTH = 8
"""Of a length [B]."""
LENGTH = struct.Struct("<Q")
WINDOW = 2048
"""How much is looked at in one place [B]; 60 texts of usual length."""
NEAR = 4096
"""How near to the end the search comes before it follows the chain [B]."""
CHAIN = 8
"""So many texts one after the other are no accident: each has seven zeros in the right place."""
MOST_EMPTY = 1
"""So many of them may be empty: zeros are no chain."""
LONGEST_TEXT = 1024
"""Tokens of blanks have up to 256 bytes, merges of them twice as many [B]."""
TRIES = 64
ZEROS = bytes(WIDTH - 1)
NAME = re.compile(rb"[a-z0-9_]+(\.[A-Za-z0-9_-]+)+")
"""Of a key or a tensor."""
LAST_TYPE = 12
"""Types of values are numbered up to this; a tensor has fewer dimensions."""


def end_of_texts(head: FileHead, start: int, count: int) -> int | None:
    """Where a list of so many texts that begins at ``start`` probably ends; None where that cannot be told.

    Args:
        head: a file at hand, little endian.
    """
    limit = min(head.size, LONGEST_HEAD)
    # A list of numbers of the same count, as the types of the tokens are, is twice as long as a step.
    step = 2 * count
    inside, behind = start, start + step
    while behind < limit and chain(head.fetch(behind, behind + WINDOW)) is not None:
        inside, behind = behind, behind + step
    behind = min(behind, limit)
    while behind - inside > NEAR:
        middle = (inside + behind) // 2
        if chain(head.fetch(middle, middle + WINDOW)) is None:
            behind = middle
        else:
            inside = middle
    window = head.fetch(inside, behind + WINDOW)
    first = 0 if inside == start else chain(window)
    if first is None:
        return None
    end = last_name(window, first)
    if end is None or inside + end - start < WIDTH * count:
        return None
    return inside + end


def chain(window: bytes) -> int | None:
    """The first byte from which a chain of texts can be followed; None where there is none."""
    at = 0
    for _ in range(TRIES):
        at = window.find(ZEROS, at) + 1
        if not at:
            return None
        place = at - 2
        if place < 0 or not window[place]:
            continue
        after, empty = place, 0
        for _ in range(CHAIN):
            if after + WIDTH > len(window):
                return None
            (length,) = LENGTH.unpack_from(window, after)
            empty += not length
            if length > LONGEST_TEXT or empty > MOST_EMPTY:
                break
            after += WIDTH + length
        else:
            return place
    return None


def last_name(window: bytes, first: int) -> int | None:
    """Where the key or tensor begins at which a chain of texts breaks; None where there is none."""
    places: list[tuple[int, int]] = []
    place = first
    while place + WIDTH <= len(window):
        (length,) = LENGTH.unpack_from(window, place)
        if length > LONGEST_TEXT:
            break
        places.append((place, length))
        place += WIDTH + length
    # A value of few bytes, all zero, may be taken for a text before the chain breaks.
    for place, length in reversed(places[-4:]):
        text = place + WIDTH
        kind = window[text + length : text + length + 4]
        known = len(kind) == 4 and int.from_bytes(kind, "little") <= LAST_TYPE
        if known and NAME.fullmatch(window, text, text + length):
            return place
    return None
