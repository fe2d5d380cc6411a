"""The cheapest set of moves that fits, by three measures of cheap, and all plans that were looked at.

Moves of one lever exclude each other. Small spaces are walked whole; of larger ones every set of up to three moves, in
the order of its cost, leaving out those that the savings of single moves, or the strongest moves of the same levers, say
cannot fit; where none of them does, more moves are added until they fit, of near tiers before far ones, and those that
were not needed are taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod

from vram_advisor.advice.gathering import Gathering
from vram_advisor.advice.moves import (
    Key,
    Known,
    Look,
    Moves,
    Rough,
    Time,
    Tried,
    Try,
    compatible,
    quality_of,
    tier_of,
    values_of,
)
from vram_advisor.advice.orderings import Table
from vram_advisor.advice.verdict import FITS
from vram_advisor.domain.advice import TIERS, Move

WHOLE = 400
"""Sets of moves up to which a space is walked whole."""
AT_ONCE = 3
"""Most moves of one set in a larger space: a list of more is no advice but another plan."""
TRUST = 0.6
"""Part of what a set is short by the savings of its single moves that may still come from moves that help each other."""
LONG = 5
"""Moves from which a lever is searched by halves."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Found:
    """A set of moves that fits, and what it was the best at."""

    moves: Moves
    tried: Tried
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """The best sets, and what else was found on the way."""

    found: tuple[Found, ...]
    able: dict[Moves, Known]
    """Every set of few moves that was looked at and fits."""
    looked_at: int
    """Sets that were looked at and can run."""


def search(
    levers: Sequence[Sequence[Move]],
    attempt: Try,
    room: float,
    seconds: Time | None = None,
    look: Look | None = None,
    probability: float = FITS,
) -> Result:
    """The best sets of moves that fit.

    Args:
        levers: for each lever its moves, which exclude each other.
        attempt: estimates a set of moves.
        room: memory that is free [B].
        seconds: time of a set of moves, which costs less than to estimate it; None: as estimated.
        look: bounds of the need of a set, which cost less than to estimate it, where ``seconds`` is given.
        probability: of fitting that a set has to reach.
    """
    walk = _Walk(levers, attempt, room, probability, seconds, look)
    table = walk.table
    goals = (("smallest change", table.smallness), ("fastest", table.slowness), ("best quality", table.loss))
    found: dict[Moves, list[str]] = {}
    for reason, key in goals:
        best = walk.best(key)
        # A smaller model is faster in any case: that is no answer to what is fast.
        if best is not None and not (reason == "fastest" and tier_of(best) == TIERS[-1]):
            found.setdefault(best, []).append(reason)
    # Where nothing but another model or method fits, what is left of the result says more than the number of moves.
    order = sorted(found, key=lambda moves: quality_of(moves) if tier_of(moves) == TIERS[-1] else 0.0)
    made = [(moves, table.estimated(moves)) for moves in order]
    # A list of all there is to do was looked at for what it says of shorter ones.
    able = {moves: known for moves in table.known if len(moves) <= AT_ONCE and (known := table.fitting(moves))}
    return Result(
        tuple(Found(m, tried, tuple(found[m])) for m, tried in made if tried is not None), able, len(table.known)
    )


class _Walk:
    """One search: the sets that are tried, and those that are left out."""

    def __init__(
        self,
        levers: Sequence[Sequence[Move]],
        attempt: Try,
        room: float,
        probability: float,
        seconds: Time | None,
        look: Look | None,
    ) -> None:
        self.room = room
        self.levers = [moves for moves in levers if moves]
        self.lever = {move: i for i, moves in enumerate(self.levers) for move in moves}
        self.whole = prod(len(moves) + 1 for moves in self.levers) <= WHOLE
        self.table = Table(attempt, probability, seconds, look, self.whole)
        self.sets = [moves for moves in self._sets() if compatible(moves) and not self.idle(moves)]
        self.long = {i for i, moves in enumerate(self.levers) if len(moves) >= LONG and moves[0].tier != TIERS[-1]}
        self.strongest = [
            moves[-1] if i in self.long else self.table.least(moves) for i, moves in enumerate(self.levers)
        ]
        self.firsts: dict[tuple[Moves, int, Moves], tuple[int, int]] = {}

    def _sets(self) -> Iterator[Moves]:
        if self.whole:
            choices = [(None, *moves) for moves in self.levers]
            for chosen in product(*choices):
                yield tuple(move for move in chosen if move is not None)
            return
        for count in range(AT_ONCE + 1):
            for some in combinations(self.levers, count):
                yield from product(*some)

    def best(self, key: Key) -> Moves | None:
        """The first set that fits, in the order of a key."""
        for moves in sorted(self.sets, key=key):
            if self.hopeless(moves) or self.lost(moves) or self.beyond(moves) or self.gentler(moves):
                continue
            # Bounds are no theorem: what is answered is estimated.
            if self.table.fits(moves) and self.table.estimated(moves) and self.table.fits(moves):
                if key == self.table.smallness and self.needless(moves):
                    continue
                return moves
        return None if self.whole else Gathering(self.table, self.levers).best(key)

    def needless(self, moves: Moves) -> bool:
        """Whether a set fits without one of its moves, so that it is not the smallest change."""
        return any(self.table.fits(tuple(other for other in moves if other is not move)) for move in moves)

    def idle(self, moves: Moves) -> bool:
        """Whether one of several moves does nothing by itself."""
        if self.whole or len(moves) < 2 or self.table.base is None:
            return False
        return any(self.table.saves_nothing(move) for move in moves)

    def hopeless(self, moves: Moves) -> bool:
        """Whether single savings say clearly that the set cannot fit."""
        base, asked = self.table.base, self.table.asked
        if self.whole or len(moves) < 2 or moves in asked or base is None:
            return False
        if any(self.lever[move] in self.long for move in moves):
            return False
        singles = [self.table.bounds((move,)) for move in moves]
        if any(single is None for single in singles):
            return True
        if any(isinstance(asked[move,], Rough) for move in moves):
            before = max(base.phases)
            bounds = [single for single in singles if single is not None]
            first, last = (
                self.short([before], [[need] for need in needs])
                for needs in ([b.least for b in bounds], [b.most for b in bounds])
            )
            if first == last:
                return first
        tried = [self.table.estimated((move,)) for move in moves]
        return any(t is None for t in tried) or self.short(base.phases, [t.phases for t in tried if t is not None])

    def short(self, before: Sequence[float], singles: Sequence[Sequence[float]]) -> bool:
        """Whether the savings of single moves leave so much in one of the phases that they cannot do together."""
        left = list(before)
        for single in singles:
            left = [now - (b - s) for now, b, s in zip(left, before, single, strict=True)]
        need, most = max(left), max(before)
        return need > self.room + TRUST * (most - need)

    def lost(self, moves: Moves) -> bool:
        """Whether the model and method of a set do not fit with all that could be done beside them at once."""
        if len(moves) < 2 or moves in self.table.asked:
            return False
        chosen = tuple(move for move in moves if move.tier == TIERS[-1])
        for move in self.strongest_first:
            if move.tier != TIERS[-1] and compatible((*chosen, move)):
                chosen = (*chosen, move)
        return self.table.fits(chosen) is False

    @cached_property
    def strongest_first(self) -> list[Move]:
        """The strongest move of each lever, in the order of what they need alone."""
        return self.table.by_need(self.strongest)

    def beyond(self, moves: Moves) -> bool:
        """Whether not even the strongest moves of the same levers fit together; one estimate says it of all of them."""
        if len(moves) < 2 or moves in self.table.asked:
            return False
        strongest = tuple(self.strongest[self.lever[move]] for move in moves)
        if strongest == moves or not compatible(strongest):
            return False
        return self.table.fits(strongest) is False

    def gentler(self, moves: Moves) -> bool:
        """Whether a move of a lever with many is gentler than those that come near to fitting, all else as it is."""
        for place, move in enumerate(moves):
            lever = self.lever[move]
            if lever in self.long:
                key = (moves[:place], lever, moves[place + 1 :])
                if key not in self.firsts:
                    self.firsts[key] = self.first_near(*key)
                number = self.levers[lever].index(move)
                low, high = self.firsts[key]
                if low <= number < high and not self.table.cannot_fit(moves):
                    self.firsts[key] = self.first_near(*key, estimated=True)
                if number < self.firsts[key][1]:
                    return True
        return False

    def first_near(self, before: Moves, lever: int, behind: Moves, estimated: bool = False) -> tuple[int, int]:
        """Bounds of the place of the first move of a lever that may fit beside others: memory is taken as linear in its
        value. ``estimated``: they are one."""
        moves = self.levers[lever]
        beside, strongest = (*before, *behind), (*before, moves[-1], *behind)
        self.table.bounds(beside)
        if not self.table.fits(strongest):
            return len(moves), len(moves)
        if estimated:
            self.table.estimated(beside)
            self.table.estimated(strongest)
        without, most = self.table.bounds(beside), self.table.bounds(strongest)
        values = values_of(moves)
        if without is None or most is None or values is None:
            return 0, 0
        places = [
            self.place_by(values, need, least)
            for need in (without.least, without.most)
            for least in (most.least, most.most)
        ]
        return min(places), max(places)

    def place_by(self, values: Sequence[float], need: float, least: float) -> int:
        """Place of the first value that may be enough.

        Args:
            values: of a lever as it is and by its moves.
            need: without a move of it [B].
            least: with its last move [B].
        """
        if need <= self.room or least >= need:
            return 0
        enough = values[0] + (values[-1] - values[0]) * (need - self.room) / (need - least)
        return sum(abs(value - values[0]) < abs(enough - values[0]) for value in values[2:])
