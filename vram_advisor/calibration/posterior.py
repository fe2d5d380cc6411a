"""The most probable coefficients: Gauss-Newton steps on a robust posterior.

The errors of a run are normal up to their expected size and have the tails of Student's t beyond, so that one bad run
does not spoil the others; so has the prior of each coefficient, so that runs that agree outweigh it (Gelman et al.,
Bayesian Data Analysis, 3rd ed., section 17.5; reweighting: Holland and Welsch 1977, doi 10.1080/03610927708827533).

Needs numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vram_advisor.calibration.figures import Array, Block
from vram_advisor.calibration.prediction import Prediction
from vram_advisor.calibration.priors import Prior
from vram_advisor.domain.coefficients import Coefficients

TAILS = 4.0
"""Degrees of freedom of the tails."""
STEPS, STILL = 30, 1e-3
"""Most iterations, and the step [standard deviations of the prior] below which they end."""
LARGEST_STEP = 3.0
"""Of one iteration, in standard deviations of the prior."""
CLEAR = 0.5
"""Figures that all count more than this have one maximum."""
DIFFERENCE = 0.05
"""Step of the numerical derivatives, in standard deviations of the prior."""


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Beliefs and measured figures together."""

    base: Coefficients
    runs: Sequence[tuple[int, Callable[[Coefficients], Prediction]]]
    believed: tuple[Prior, ...] = ()
    compared: tuple[Block, ...] = ()

    def coefficients(self, at: Array) -> Coefficients:
        """The coefficients at coordinates."""
        return moved(self.base, zip(self.believed, at.tolist(), strict=True))

    def predictions(self, k: Coefficients) -> dict[int, Prediction]:
        """The prediction of every run."""
        return {run: predict(k) for run, predict in self.runs}

    def matters(self, p: Prior, compared: Iterable[Block], before: dict[int, Prediction]) -> bool:
        """Whether any figure depends on a coefficient; a bound that is kept does not."""
        after = self.predictions(moved(self.base, [(p, p.mean + p.sd)]))
        return any(
            not np.array_equal(block.error(before[block.run]), block.error(after[block.run])) for block in compared
        )

    def best(self) -> Array:
        """The highest maximum that is found."""
        start = np.array([p.mean for p in self.believed])
        found = self.maximum(start, True)
        here = self.predictions(self.coefficients(found))
        if all(weight(block.error(here[block.run])) > CLEAR for block in self.compared):
            return found
        # Where figures are far off there may be two: the other is looked for from what all say with equal weight.
        other = self.maximum(self.maximum(start, False), True)
        return min((found, other), key=self.cost)

    def maximum(self, start: Array, tails: bool) -> Array:
        """Gauss-Newton from a start to a maximum within the bounds."""
        at = start
        low, high = np.array([p.low for p in self.believed]), np.array([p.high for p in self.believed])
        sd = np.array([p.sd for p in self.believed])
        for _ in range(STEPS):
            curvature, slope = self.information(at, self.predictions(self.coefficients(at)), tails)
            # What a bound holds does not take part, so that the others find their best values beside it.
            held = ((at <= low) & (slope < 0)) | ((at >= high) & (slope > 0))
            free = np.flatnonzero(~held)
            if not free.size:
                break
            step = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
            step = np.clip(step, -LARGEST_STEP * sd[free], LARGEST_STEP * sd[free])
            moved_to = at.copy()
            moved_to[free] = np.clip(at[free] + step, low[free], high[free])
            still = np.all(np.abs(moved_to - at) < STILL * sd)
            at = moved_to
            if still:
                break
        return at

    def information(self, at: Array, here: dict[int, Prediction], tails: bool = True) -> tuple[Array, Array]:
        """Curvature and slope of the logarithm of the posterior at a point."""
        sd = np.array([p.sd for p in self.believed])
        off = (np.array([p.mean for p in self.believed]) - at) / sd
        counts = np.array([weight(each) if tails else 1.0 for each in off[:, None]])
        curvature, slope = np.diag(counts / sd**2), counts * off / sd
        there = []
        for i, p in enumerate(self.believed):
            beside = at.copy()
            beside[i] += DIFFERENCE * p.sd
            there.append(self.predictions(self.coefficients(beside)))
        for block in self.compared:
            error = block.error(here[block.run])
            if block.at_least and not error.any():
                continue
            now = block.predicted(here[block.run])
            columns = [(block.predicted(each[block.run]) - now) / (DIFFERENCE * p.sd) for p, each in zip(self.believed, there, strict=True)]  # fmt: skip
            jacobian = block.whitening @ np.column_stack(columns)
            counted = weight(error) if tails else 1.0
            curvature += counted * jacobian.T @ jacobian
            slope += counted * jacobian.T @ error
        return curvature, slope

    def cost(self, at: Array) -> float:
        """Minus the logarithm of the posterior, but for a constant."""
        here = self.predictions(self.coefficients(at))
        prior = math.fsum(loss((at[i : i + 1] - p.mean) / p.sd) for i, p in enumerate(self.believed))
        return prior + math.fsum(loss(block.error(here[block.run])) for block in self.compared)


def moved(base: Coefficients, at: Iterable[tuple[Prior, float]]) -> Coefficients:
    """The coefficients with some at other coordinates."""
    changed: dict[str, Any] = {p.name: replace(getattr(base, p.name), value=p.value(x)) for p, x in at}
    return replace(base, **changed)


def weight(error: Array) -> float:
    """How much the figures of a block count: less where they are further off than their spread allows."""
    return min(1.0, (TAILS + error.size) / (TAILS + float(error @ error)))


def loss(error: Array) -> float:
    """The loss whose reweighted squares have this weight."""
    square, expected = float(error @ error), error.size
    if square <= expected:
        return square / 2
    return expected / 2 + (TAILS + expected) / 2 * math.log((TAILS + square) / (TAILS + expected))
