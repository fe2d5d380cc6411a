"""A model with fewer of its repeated layers: its compute buffer is the same.

Behind the first layers the allocator is at the end of a period of layers where it was at the end of an earlier one: the
one before, or two or three before. So whole sixes of periods can be left out. That holds where all layers lie in one
place.
"""

from __future__ import annotations

from functools import lru_cache

LONGEST = 8
"""Layers of the longest period that is looked for."""
LEAD = 4
"""Layers in front of the first period."""
LEAST = 4
"""Periods that are kept at least."""
CYCLE = 6
"""Periods are left out by so many: the allocator returns to its state after one, two or three."""


@lru_cache(maxsize=256)
def shortened(kinds: tuple[int, ...]) -> tuple[int, ...]:
    """Kinds of layers with whole periods left out."""
    for lead in range(LEAD):
        rest = kinds[lead:]
        for period in range(1, LONGEST + 1):
            count = len(rest) // period
            kept = LEAST + (count - LEAST) % CYCLE
            if count > kept and all(a == b for a, b in zip(rest, rest[period:], strict=False)):
                return kinds[:lead] + rest[: kept * period + len(rest) % period]
    return kinds
