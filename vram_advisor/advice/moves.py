"""Sets of moves: what they change, how far they go, what they cost, and what is known of their need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, log

from vram_advisor.domain.advice import TIERS, Move, Tier

LENGTHS = ("sequence_length", "context_length")
"""Fields whose change is another job rather than another way to do it."""

Moves = tuple[Move, ...]
Key = Callable[[Moves], tuple[float, ...]]
"""An order of sets of moves."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tried:
    """What an estimate says of a set of moves."""

    phases: tuple[float, ...]
    """Need of each phase [B]; the largest is the need."""
    probability: float
    """That it fits."""
    time: float
    """For the same work, in any unit."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rough:
    """What is known of a set of moves without an estimate; all phases need the same."""

    least: float
    most: float
    """Bounds of the need [B]."""
    hopes: float
    fears: float
    """The probability that it fits, where it needs the least and the most."""


Known = Tried | Rough
Try = Callable[[Moves], Tried | None]
"""Estimate a set of moves; None where it cannot run."""
Look = Callable[[Moves], Rough | None]
"""What is known of a set of moves before it is estimated; None where nothing is."""
Time = Callable[[Moves], float]
"""Time of a set of moves, in the unit of ``Tried``; infinity where it cannot run."""


def bounds_of(known: Known) -> Rough:
    """The same of an estimate, whose bounds are one."""
    if isinstance(known, Rough):
        return known
    need = max(known.phases)
    return Rough(need, need, known.probability, known.probability)


def tier_of(moves: Iterable[Move]) -> Tier:
    """The furthest tier of a set of moves."""
    return TIERS[max((TIERS.index(move.tier) for move in moves), default=0)]


def quality_of(moves: Iterable[Move]) -> float:
    """What a set of moves takes from the result."""
    return sum(move.quality for move in moves)


def pace(time: float) -> float:
    """A time in steps of 5 %: less is not worth a loss of quality."""
    return round(log(time) / log(1.05)) if 0 < time < inf else inf


def shortens(moves: Moves) -> bool:
    """Whether sequences are cut."""
    return any(change.field in LENGTHS for move in moves for change in move.changes)


def values_of(moves: Sequence[Move]) -> tuple[float, ...] | None:
    """The value of a lever as it is and by its moves, None where these are no numbers; of one that has none as it is the
    one that the steps of its moves say."""
    found = [move.changes[0].after for move in moves]
    if not all(isinstance(value, int) for value in found):
        return None
    before = moves[0].changes[0].before
    return (float(before) if isinstance(before, int) else 2.0 * found[0] - found[1], *map(float, found))


def compatible(moves: Moves) -> bool:
    """Whether no two moves change the same field."""
    fields = [change.field for move in moves for change in move.changes]
    return len(fields) == len(set(fields))
