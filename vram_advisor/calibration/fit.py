"""Coefficients from measured runs of one device: what was learnt, how sure it is, and every figure before and after.

A run that was out of memory says that its prediction must not be lower. Needs numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from vram_advisor.calibration.figures import Array, Block, Channel, blocks, predicted
from vram_advisor.calibration.posterior import Posterior, weight
from vram_advisor.calibration.prediction import Predict, Prediction, predicting
from vram_advisor.calibration.priors import backend_coefficients, priors
from vram_advisor.domain.calibration import Learnt, corrected
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.trial import Measurement

DOUBTFUL = 0.3
"""Figures that count less than this disagree with the others."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one run: predicted before, measured, predicted after."""

    run: int
    """Index in the measurements that were given."""
    channel: Channel
    phase: str
    before: float
    """[B], or [s] for the time of a step."""
    measured: float
    after: float
    weight: float
    """1: counted in full; 0: not at all."""
    at_least: bool
    """The run was out of memory: a lower bound."""

    @property
    def doubtful(self) -> bool:
        """Whether it disagrees with the other runs so much that it hardly counts."""
        return self.weight < DOUBTFUL


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What measurements taught."""

    learnt: tuple[Learnt, ...]
    """The coefficients that the measurements say something about."""
    coefficients: Coefficients
    covariance: Array
    """Posterior covariance of ``learnt``, factors as logarithms."""
    compared: tuple[Compared, ...]


def fit(
    measurements: Sequence[Measurement], predict: Predict = predicting, believed: Coefficients | None = None
) -> Fit:
    """The most probable coefficients for measurements on one device.

    Args:
        measurements: runs of one device; those that did not measure and that did not run out of memory say nothing.
        predict: the prediction of a run as a function of the coefficients.
        believed: what is believed before; None: what is believed of the backend.

    Raises:
        BadInput, NotModelled: a trial has no prediction.
    """
    runs = distinct(measurements)
    if not runs:
        return Fit((), believed or NOMINAL, np.zeros((0, 0)), ())
    environment = measurements[runs[0]].environment
    base = believed or backend_coefficients(environment.backend)
    posterior = Posterior(base, [(run, predict(measurements[run])) for run in runs])
    before = posterior.predictions(base)
    compared = [block for run in runs for block in blocks(run, measurements[run], before[run])]
    moving = [p for p in priors(environment, base) if posterior.matters(p, compared, before)]
    if not moving:
        return Fit((), believed or NOMINAL, np.zeros((0, 0)), tuple(table(compared, before, before, {})))
    posterior = replace(posterior, believed=tuple(moving), compared=tuple(compared))
    found = posterior.best()
    after = posterior.predictions(posterior.coefficients(found))
    covariance = np.asarray(np.linalg.inv(posterior.information(found, after)[0]), dtype=np.float64)
    learnt = tuple(
        Learnt(
            name=p.name,
            prior=getattr(base, p.name).value,
            prior_sd=getattr(base, p.name).sd,
            value=p.value(x),
            sd=min(p.value_sd(x, math.sqrt(variance)), max(p.value_sd(x, p.sd), getattr(base, p.name).sd)),
            bounded=bool(x <= p.low or x >= p.high),
        )
        for p, x, variance in zip(moving, found.tolist(), np.diag(covariance).tolist(), strict=True)
    )
    weights = {id(block): weight(block.error(after[block.run])) for block in compared}
    rows = tuple(table(compared, before, after, weights))
    return Fit(learnt, corrected(base, learnt, "these measurements"), covariance, rows)


def distinct(measurements: Sequence[Measurement]) -> list[int]:
    """Indices of the runs that say something: of identical trials, whose bytes are identical, only the last.

    Of the processes of one trial the one with most memory counts.
    """
    found: dict[str, int] = {}
    for i, each in enumerate(measurements):
        if each.outcome not in ("measured", "out_of_memory"):
            continue
        trial = f"{each.outcome} {asdict(each.trial)}"
        other = found.get(trial)
        if other is None or each.rank == measurements[other].rank or bytes_of(each) > bytes_of(measurements[other]):
            found[trial] = i
    return sorted(found.values())


def bytes_of(measurement: Measurement) -> int:
    """What orders the processes of one trial [B]."""
    return measurement.allocated_bytes or max(measurement.phase_bytes.values(), default=0)


def table(
    compared: Iterable[Block], before: dict[int, Prediction], after: dict[int, Prediction], weights: dict[int, float]
) -> Iterable[Compared]:
    """Every figure before and after."""
    for block in compared:
        for figure, measured in zip(block.figures, block.measured.tolist(), strict=True):
            three = (predicted(figure, before[block.run]), measured, predicted(figure, after[block.run]))
            if figure.channel == "step_seconds":
                three = (math.exp(three[0]), math.exp(three[1]), math.exp(three[2]))
            yield Compared(block.run, figure.channel, figure.phase, *three, weights.get(id(block), 1.0), block.at_least)
