"""What is known of sets of moves in one search, and the orders in which they are tried.

Much of what a search asks is answered by bounds of the need: an estimate is made where they do not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import floor, inf, log, log2, prod

from vram_advisor.advice.moves import (
    Known,
    Look,
    Moves,
    Rough,
    Time,
    Tried,
    Try,
    bounds_of,
    pace,
    quality_of,
    shortens,
    tier_of,
)
from vram_advisor.domain.advice import TIERS, Move

EXACT = 2
"""Moves up to which times are computed in a large space, and not multiplied."""
TIERS_OF_TWICE, QUALITY_OF_TWICE = 2, 3.0
"""What twice the time counts as: two tiers, as much as half of a model."""


class Table:
    """Sets of moves with what is known of them, and what orders them."""

    def __init__(self, attempt: Try, probability: float, seconds: Time | None, look: Look | None, whole: bool) -> None:
        """As ``search``; ``whole``: the space is small, so that every set is worth an estimate."""
        self.attempt, self.probability, self.seconds, self.rough, self.whole = (
            attempt,
            probability,
            seconds,
            look,
            whole,
        )
        self.asked: dict[Moves, Known | None] = {}
        self.times: dict[Moves, float] = {}
        self.idle: dict[Move, bool] = {}

    @cached_property
    def base(self) -> Tried | None:
        """The plan as asked."""
        return self.estimated(())

    @property
    def known(self) -> dict[Moves, Known]:
        """Everything that was asked for and can run."""
        return {moves: known for moves, known in self.asked.items() if known is not None}

    def estimated(self, moves: Moves) -> Tried | None:
        """What an estimate says; asked for once."""
        found = self.asked.get(moves)
        if isinstance(found, Rough) or moves not in self.asked:
            found = self.asked[moves] = self.attempt(moves)
        return found

    def bounds(self, moves: Moves) -> Rough | None:
        """What is known, by an estimate where nothing is; None where it cannot run."""
        if moves not in self.asked:
            rough = None if self.rough is None or self.seconds is None else self.rough(moves)
            if rough is None:
                self.estimated(moves)
            else:
                self.asked[moves] = rough
        known = self.asked[moves]
        return None if known is None else bounds_of(known)

    def fits(self, moves: Moves) -> bool | None:
        """Whether a set fits; None where it cannot run."""
        known = self.bounds(moves)
        if known is None:
            return None
        if known.hopes < self.probability or known.fears >= self.probability:
            return known.fears >= self.probability
        tried = self.estimated(moves)
        return None if tried is None else tried.probability >= self.probability

    def cannot_fit(self, moves: Moves) -> bool:
        """Whether bounds say so, of a set that is not looked at further."""
        known = self.asked[moves] if moves in self.asked else self.rough(moves) if self.rough else None
        return known is not None and bounds_of(known).hopes < self.probability

    def fitting(self, moves: Moves) -> Known | None:
        """What is known of a set that fits; None where it does not."""
        return self.asked[moves] if self.fits(moves) else None

    def alone(self, move: Move) -> float:
        """Need with one move [B]."""
        tried = self.estimated((move,))
        return max(tried.phases) if tried is not None else inf

    def least(self, moves: Sequence[Move]) -> Move:
        """The first of the moves that alone need the least."""
        known = [self.bounds((move,)) for move in moves]
        enough = min((each.most for each in known if each is not None), default=inf)
        near = [move for move, each in zip(moves, known, strict=True) if each is not None and each.least <= enough]
        return near[0] if len(near) == 1 else min(near or moves, key=self.alone)

    def by_need(self, moves: Sequence[Move]) -> list[Move]:
        """Moves in the order of what they need alone."""
        known = [self.bounds((move,)) or Rough(inf, inf, 0.0, 0.0) for move in moves]
        for i, (move, one) in enumerate(zip(moves, known, strict=True)):
            if any(i != j and one.least <= other.most and other.least <= one.most for j, other in enumerate(known)):
                self.alone(move)
        return sorted(moves, key=self.floor)

    def floor(self, move: Move) -> float:
        """The least need with one move [B]; infinite where it cannot run."""
        known = self.bounds((move,))
        return inf if known is None else known.least

    def saves_nothing(self, move: Move) -> bool:
        """Whether a move by itself leaves every phase and the time as they are."""
        if move not in self.idle:
            self.idle[move] = self._saves_nothing(move)
        return self.idle[move]

    def _saves_nothing(self, move: Move) -> bool:
        known, base = self.bounds((move,)), self.base
        if known is None or base is None:
            return False
        if isinstance(self.asked[move,], Rough):
            assert self.seconds is not None
            if self.seconds((move,)) < base.time or known.most < max(base.phases):
                return False
        tried = self.estimated((move,))
        return (
            tried is not None
            and tried.time >= base.time
            and all(now >= before for now, before in zip(tried.phases, base.phases, strict=True))
        )

    def time(self, moves: Moves) -> float:
        """Relative time: estimated where it is known, else the product of what single moves cost."""
        known = self.asked.get(moves)
        rough = isinstance(known, Rough)
        if (moves in self.asked and not rough) or (self.seconds is None and (self.whole or len(moves) < 2)):
            tried = self.estimated(moves)
            return float(f"{tried.time:.9g}") if tried else inf
        if self.seconds is not None and (self.whole or rough or len(moves) <= EXACT):
            if moves not in self.times:
                self.times[moves] = float(f"{self.seconds(moves):.9g}")
            return self.times[moves]
        base = self.base.time if self.base else 1.0
        factors = [self.time((move,)) / base for move in moves]
        # Rounded, so that products taken in another order are the same.
        return float(f"{base * prod(factors):.9g}")

    def toll(self, moves: Moves) -> int:
        """How often a set doubles the time."""
        times = self.time(moves) / (self.base.time if self.base else 1.0)
        return floor(log2(times)) if 1 < times < inf else 0

    def smallness(self, moves: Moves) -> tuple[float, ...]:
        """Order of the smallest change: near tiers first, few moves, then what they cost.

        A change that doubles the time is no nearer than one of another tier beyond the next.
        """
        tier = TIERS.index(tier_of(moves)) + TIERS_OF_TWICE * self.toll(moves)
        return (tier, len(moves), quality_of(moves), log(max(self.time(moves), 1e-12)))

    def slowness(self, moves: Moves) -> tuple[float, ...]:
        """Order of speed, within the same model: to read less of each sample is not to be faster."""
        time, other = self.time(moves), TIERS.index(tier_of(moves)) > 1
        return (other, shortens(moves), pace(time), quality_of(moves), len(moves), time)

    def loss(self, moves: Moves) -> tuple[float, ...]:
        """Order of what is left of the result, where the time is not a multiple."""
        time = self.time(moves)
        return (
            quality_of(moves) + QUALITY_OF_TWICE * self.toll(moves),
            TIERS.index(tier_of(moves)),
            pace(time),
            len(moves),
            time,
        )
