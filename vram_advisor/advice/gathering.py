"""Long lists of moves: where no few of them are enough, more are added until they fit, and what is not needed is taken
back."""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.advice.moves import Key, Moves, compatible, shortens
from vram_advisor.advice.orderings import Table
from vram_advisor.domain.advice import TIERS, Move


class Gathering:
    """The levers of one search."""

    def __init__(self, table: Table, levers: Sequence[Sequence[Move]]) -> None:
        self.table, self.levers = table, levers
        self.lever = {move: i for i, moves in enumerate(levers) for move in moves}

    def best(self, key: Key) -> Moves | None:
        """Moves of the nearest tier in which so many fit; sequences are cut last in theirs."""
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
        while (tried := self.table.estimated(chosen)) is None or tried.probability < self.table.probability:
            used = {self.lever[move] for move in chosen}
            longer = [(*chosen, move) for move in moves if self.lever[move] not in used and compatible((*chosen, move))]
            able = [(longer_set, t) for longer_set in longer if (t := self.table.estimated(longer_set)) is not None]
            if not able:
                return None
            best, most = min(able, key=lambda pair: max(pair[1].phases))
            if tried is not None and max(most.phases) >= max(tried.phases):
                return None
            chosen = best
        return chosen

    def needed(self, chosen: Moves, key: Key) -> Moves:
        """A set that fits without the moves that it fits without, and with the gentlest of each lever."""
        for move in sorted(chosen, key=lambda m: key((m,)), reverse=True):
            without = tuple(m for m in chosen if m is not move)
            gentler = [
                tuple(other if m is move else m for m in chosen)
                for other in self.levers[self.lever[move]]
                if key((other,)) < key((move,))
            ]
            for fewer in (without, *sorted(gentler, key=key)):
                if compatible(fewer) and self.table.fits(fewer):
                    chosen = fewer
                    break
        return chosen
