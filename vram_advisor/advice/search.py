"""The cheapest set of moves that fits, by three measures of cheap, and the front of all plans that were looked at.

Moves of one lever exclude each other. Small spaces are walked whole; of larger ones every set of up to three moves, in
the order of its cost, leaving out those that the savings of single moves, or the strongest moves of the same levers, say
cannot fit; where none of them does, more moves are added until they fit, of near tiers before far ones, and those that
were not needed are taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import floor, inf, log, log2, prod

from vram_advisor.advice.verdict import FITS
from vram_advisor.domain.advice import TIERS, Move, Tier

WHOLE = 400
"""Sets of moves up to which a space is walked whole."""
AT_ONCE = 3
"""Most moves of one set in a larger space: a list of more is no advice but another plan."""
TRUST = 0.6
"""Part of what a set is short by the savings of its single moves that may still come from moves that help each other."""

EXACT = 2
"""Moves up to which times are computed in a large space, and not multiplied."""
LONG = 5
"""Moves from which a lever is searched by halves."""
TIERS_OF_TWICE, QUALITY_OF_TWICE = 2, 3.0
"""What twice the time counts as: two tiers, as much as half of a model."""
LENGTHS = ("sequence_length", "context_length")
"""Fields whose change is another job rather than another way to do it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tried:
    """What an estimate says of a set of moves."""

    phases: tuple[float, ...]
    """Need of each phase [B]; the largest is the need."""
    probability: float
    """That it fits."""
    time: float
    """For the same work, in any unit."""


Moves = tuple[Move, ...]
Try = Callable[[Moves], Tried | None]
"""Estimate a set of moves; None where it cannot run."""
Time = Callable[[Moves], float]
"""Time of a set of moves, in the unit of ``Tried``; infinity where it cannot run."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Found:
    """A set of moves that fits, and what it was the best at."""

    moves: Moves
    tried: Tried
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """The best sets, and everything that was tried."""

    found: tuple[Found, ...]
    tried: dict[Moves, Tried]


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


def search(
    levers: Sequence[Sequence[Move]], attempt: Try, room: float, seconds: Time | None = None, probability: float = FITS
) -> Result:
    """The best sets of moves that fit.

    Args:
        levers: for each lever its moves, which exclude each other.
        attempt: estimates a set of moves.
        room: memory that is free [B].
        seconds: time of a set of moves, which costs less than to estimate it; None: as estimated.
        probability: of fitting that a set has to reach.
    """
    walk = _Walk(levers, attempt, room, probability, seconds)
    goals = (("smallest change", walk.smallness), ("fastest", walk.slowness), ("best quality", walk.loss))
    found: dict[Moves, list[str]] = {}
    for reason, key in goals:
        best = walk.best(key)
        # A smaller model is faster in any case: that is no answer to what is fast.
        if best is not None and not (reason == "fastest" and tier_of(best) == TIERS[-1]):
            found.setdefault(best, []).append(reason)
    tried = walk.tried
    # Where nothing but another model or method fits, what is left of the result says more than the number of moves.
    order = sorted(found, key=lambda moves: quality_of(moves) if tier_of(moves) == TIERS[-1] else 0.0)
    return Result(tuple(Found(m, tried[m], tuple(found[m])) for m in order), tried)


class _Walk:
    """One search: what was tried, and the orders in which sets are tried."""

    def __init__(
        self, levers: Sequence[Sequence[Move]], attempt: Try, room: float, probability: float, seconds: Time | None
    ) -> None:
        self.attempt, self.room, self.probability, self.seconds = attempt, room, probability, seconds
        self.asked: dict[Moves, Tried | None] = {}
        self.times: dict[Moves, float] = {}
        self.levers = [moves for moves in levers if moves]
        self.lever = {move: i for i, moves in enumerate(self.levers) for move in moves}
        self.whole = prod(len(moves) + 1 for moves in self.levers) <= WHOLE
        self.sets = [moves for moves in self._sets() if compatible(moves) and not self.idle(moves)]
        self.long = {i for i, moves in enumerate(self.levers) if len(moves) >= LONG and moves[0].tier != TIERS[-1]}
        self.strongest = [
            moves[-1] if i in self.long else min(moves, key=self.alone) for i, moves in enumerate(self.levers)
        ]
        self.least: dict[tuple[Moves, int, Moves], int] = {}

    @property
    def base(self) -> Tried | None:
        """The plan as asked."""
        return self.look(())

    @property
    def tried(self) -> dict[Moves, Tried]:
        """Everything that was tried and can run."""
        return {moves: tried for moves, tried in self.asked.items() if tried is not None}

    def alone(self, move: Move) -> float:
        """Need with one move [B]."""
        tried = self.look((move,))
        return max(tried.phases) if tried is not None else inf

    def look(self, moves: Moves) -> Tried | None:
        """What an estimate says; asked for once."""
        if moves not in self.asked:
            self.asked[moves] = self.attempt(moves)
        return self.asked[moves]

    def _sets(self) -> Iterator[Moves]:
        if self.whole:
            choices = [(None, *moves) for moves in self.levers]
            for chosen in product(*choices):
                yield tuple(move for move in chosen if move is not None)
            return
        for count in range(AT_ONCE + 1):
            for some in combinations(self.levers, count):
                yield from product(*some)

    def time(self, moves: Moves) -> float:
        """Relative time: estimated where it is known, else the product of what single moves cost."""
        if moves in self.asked or (self.seconds is None and (self.whole or len(moves) < 2)):
            tried = self.look(moves)
            return float(f"{tried.time:.9g}") if tried else inf
        if self.seconds is not None and (self.whole or len(moves) <= EXACT):
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

    def best(self, key: Callable[[Moves], tuple[float, ...]]) -> Moves | None:
        """The first set that fits, in the order of a key."""
        for moves in sorted(self.sets, key=key):
            if self.hopeless(moves) or self.lost(moves) or self.beyond(moves) or self.gentler(moves):
                continue
            tried = self.look(moves)
            if tried is not None and tried.probability >= self.probability:
                return moves
        return None if self.whole else self.gather(key)

    def idle(self, moves: Moves) -> bool:
        """Whether one of several moves does nothing by itself."""
        if self.whole or len(moves) < 2 or self.base is None:
            return False
        return any(self.saves_nothing(move) for move in moves)

    def saves_nothing(self, move: Move) -> bool:
        """Whether a move by itself leaves every phase and the time as they are."""
        tried, base = self.look((move,)), self.base
        if tried is None or base is None:
            return False
        return tried.time >= base.time and all(
            now >= before for now, before in zip(tried.phases, base.phases, strict=True)
        )

    def hopeless(self, moves: Moves) -> bool:
        """Whether single savings say clearly that the set cannot fit."""
        if self.whole or len(moves) < 2 or moves in self.asked or self.base is None:
            return False
        if any(self.lever[move] in self.long for move in moves):
            return False
        singles = [self.look((move,)) for move in moves]
        if any(single is None for single in singles):
            return True
        left = list(self.base.phases)
        for single in singles:
            assert single is not None
            left = [now - (b - s) for now, b, s in zip(left, self.base.phases, single.phases, strict=True)]
        need, most = max(left), max(self.base.phases)
        return need > self.room + TRUST * (most - need)

    def lost(self, moves: Moves) -> bool:
        """Whether the model and method of a set do not fit with all that could be done beside them at once."""
        if len(moves) < 2 or moves in self.asked:
            return False
        chosen = tuple(move for move in moves if move.tier == TIERS[-1])
        for move in sorted(self.strongest, key=self.alone):
            if move.tier != TIERS[-1] and compatible((*chosen, move)):
                chosen = (*chosen, move)
        tried = self.look(chosen)
        return tried is not None and tried.probability < self.probability

    def beyond(self, moves: Moves) -> bool:
        """Whether not even the strongest moves of the same levers fit together; one estimate says it of all of them."""
        if len(moves) < 2 or moves in self.asked:
            return False
        strongest = tuple(self.strongest[self.lever[move]] for move in moves)
        if strongest == moves or not compatible(strongest):
            return False
        tried = self.look(strongest)
        return tried is not None and tried.probability < self.probability

    def gentler(self, moves: Moves) -> bool:
        """Whether a move of a lever with many is gentler than those that come near to fitting, all else as it is."""
        for place, move in enumerate(moves):
            lever = self.lever[move]
            if lever in self.long:
                key = (moves[:place], lever, moves[place + 1 :])
                if key not in self.least:
                    self.least[key] = self.first_near(*key)
                if self.levers[lever].index(move) < self.least[key]:
                    return True
        return False

    def first_near(self, before: Moves, lever: int, behind: Moves) -> int:
        """Place of the first move of a lever that may fit beside others: memory is taken as linear in its value."""
        moves = self.levers[lever]
        without, most = self.look((*before, *behind)), self.look((*before, moves[-1], *behind))
        if most is None or most.probability < self.probability:
            return len(moves)
        values = values_of(moves)
        if without is None or values is None:
            return 0
        need, least = max(without.phases), max(most.phases)
        if need <= self.room or least >= need:
            return 0
        enough = values[0] + (values[-1] - values[0]) * (need - self.room) / (need - least)
        return sum(abs(value - values[0]) < abs(enough - values[0]) for value in values[2:])

    def gather(self, key: Callable[[Moves], tuple[float, ...]]) -> Moves | None:
        """More moves than ``AT_ONCE``, of the nearest tier in which so many fit; sequences are cut last in theirs."""
        moves = [move for lever in self.levers for move in lever]
        near = [move for move in moves if move.tier != TIERS[-1]]
        for some in (
            [move for move in moves if move.tier == TIERS[0]],
            [move for move in near if not shortens((move,))],
            near,
            moves,
        ):
            found = self.gathered(some)
            if found is not None:
                return self.needed(found, key)
        return None

    def gathered(self, moves: Sequence[Move]) -> Moves | None:
        """Moves added one by one, those that save most first, until they fit."""
        chosen: Moves = ()
        while (tried := self.look(chosen)) is None or tried.probability < self.probability:
            used = {self.lever[move] for move in chosen}
            longer = [(*chosen, move) for move in moves if self.lever[move] not in used and compatible((*chosen, move))]
            able = [(longer_set, t) for longer_set in longer if (t := self.look(longer_set)) is not None]
            if not able:
                return None
            best, most = min(able, key=lambda pair: max(pair[1].phases))
            if tried is not None and max(most.phases) >= max(tried.phases):
                return None
            chosen = best
        return chosen

    def needed(self, chosen: Moves, key: Callable[[Moves], tuple[float, ...]]) -> Moves:
        """A set that fits without the moves that it fits without, and with the gentlest of each lever."""
        for move in sorted(chosen, key=lambda m: key((m,)), reverse=True):
            without = tuple(m for m in chosen if m is not move)
            gentler = [
                tuple(other if m is move else m for m in chosen)
                for other in self.levers[self.lever[move]]
                if key((other,)) < key((move,))
            ]
            for fewer in (without, *sorted(gentler, key=key)):
                tried = self.look(fewer) if compatible(fewer) else None
                if tried is not None and tried.probability >= self.probability:
                    chosen = fewer
                    break
        return chosen
