"""What a model needs at some contexts, as far as it was estimated: enough for a verdict and a longest context."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Need:
    """The minimum to run at one context."""

    context_length: int
    """[tokens]"""
    mean: float
    """[B]"""
    sd: float
    """Standard deviation [B]."""


@dataclass(frozen=True, slots=True)
class Needs:
    """One model on one card."""

    parameters: int
    most: int
    """The longest context that is asked about [tokens]."""
    points: tuple[Need, ...]
    """By context, the shortest first."""

    def at(self, context_length: int) -> Need | None:
        """The need at a context; None where it was not estimated and does not lie on a straight line.

        Between two estimated contexts memory is taken as even where it grows at the same rate beside them; layers
        whose window is full and buffers that overtake others bend it.
        """
        points = self.points
        for i, point in enumerate(points):
            if point.context_length == context_length:
                return point
            if point.context_length > context_length:
                return between(points[i - 2 : i + 2] if i > 1 else points[: i + 2], context_length) if i else None
        return None

    def with_point(self, point: Need) -> "Needs":
        """The same with one more context."""
        others = [other for other in self.points if other.context_length != point.context_length]
        points = tuple(sorted([*others, point], key=lambda each: each.context_length))
        return Needs(self.parameters, self.most, points)


STRAIGHT = 0.002
"""How much two slopes may differ, as a share of the larger, to be one line."""


def between(points: tuple[Need, ...], context_length: int) -> Need | None:
    """The need on the line through neighbours of which the line goes on beside them; None where it bends."""
    slopes = [
        (after.mean - before.mean) / (after.context_length - before.context_length)
        for before, after in pairwise(points)
    ]
    inside = next(i for i, point in enumerate(points[1:]) if point.context_length > context_length)
    beside = [slopes[i] for i in (inside - 1, inside + 1) if 0 <= i < len(slopes)]
    if not any(abs(slope - slopes[inside]) <= STRAIGHT * abs(slopes[inside]) for slope in beside):
        return None
    before, after = points[inside], points[inside + 1]
    mean = before.mean + slopes[inside] * (context_length - before.context_length)
    return Need(context_length, mean, max(before.sd, after.sd))
