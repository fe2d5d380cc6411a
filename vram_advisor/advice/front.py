"""The front of all plans that were looked at: no other is better in memory, time and quality at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf

from vram_advisor.advice.moves import Known, Moves, Rough, Tried, bounds_of, quality_of
from vram_advisor.advice.verdict import FITS

ALIKE = 1.05
"""Memory and times that differ by less are no reason for another plan."""

CANNOT = Rough(inf, inf, 0.0, 0.0)
"""What is known of a plan that cannot run."""


@dataclass(slots=True, eq=False, repr=False)
class Point:
    """One plan."""

    moves: Moves
    quality: float
    time: float
    place: int
    """In the order in which plans were looked at."""
    known: Known

    @property
    def least(self) -> float:
        """The least that it may need [B]."""
        return bounds_of(self.known).least

    @property
    def most(self) -> float:
        """The most that it may need [B]."""
        return bounds_of(self.known).most


class Front:
    """Plans compared; one is estimated only where what is known of it does not decide."""

    def __init__(self, attempt: Callable[[Moves], Tried | None], time: Callable[[Moves], float]) -> None:
        self.attempt, self.time = attempt, time

    def of(self, plans: Mapping[Moves, Known]) -> list[Moves]:
        """The front, those first that take least from the result.

        Of sets that hardly differ in memory and time the one with fewer moves stands for all.
        """
        points = [
            Point(m, quality_of(m), known.time if isinstance(known, Tried) else self.time(m), i, known)
            for i, (m, known) in enumerate(plans.items())
        ]
        kept: list[Point] = []
        for point in self.in_order(points):
            if not any(self.stands_for(other, point) for other in sorted(kept, key=undecided)):
                kept.append(point)
        for point in kept:
            self.need(point)
        able = [point for point in kept if bounds_of(point.known).fears >= FITS]
        return [point.moves for point in able if not any(beats(other, point) for other in able)]

    def need(self, point: Point) -> float:
        """What a plan needs [B], estimated if it has not been."""
        if isinstance(point.known, Rough):
            point.known = self.attempt(point.moves) or CANNOT
        return point.most

    def in_order(self, points: Sequence[Point]) -> list[Point]:
        """By what they take from the result, number of moves, need, time, and the order in which they were looked at."""
        ordered: list[Point] = []
        near = sorted(points, key=lambda p: (p.quality, len(p.moves), p.place))
        for _, group in groupby(near, key=lambda p: (p.quality, len(p.moves))):
            members = list(group)
            for point in members:
                if any(other is not point and overlap(other, point) for other in members):
                    self.need(point)
            ordered += sorted(members, key=lambda p: (p.least, p.time, p.place))
        return ordered

    def stands_for(self, one: Point, other: Point) -> bool:
        """Whether a plan that comes before hardly needs more, and hardly takes longer."""
        if one.time > other.time * ALIKE or one.least > other.most * ALIKE:
            return False
        return one.most <= other.least * ALIKE or self.need(one) <= self.need(other) * ALIKE


def undecided(point: Point) -> float:
    """Plans that are known well are compared first."""
    return point.most - point.least


def overlap(one: Point, other: Point) -> bool:
    """Whether it is open which of two plans needs less."""
    return one.least <= other.most and other.least <= one.most


def beats(one: Point, other: Point) -> bool:
    """Whether one plan is clearly better in memory or time, and worse in nothing."""
    if one.most > other.most or one.time > other.time or one.quality > other.quality:
        return False
    return one.most * ALIKE < other.most or one.time * ALIKE < other.time
