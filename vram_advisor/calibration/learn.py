"""From measured runs to a calibration that can be kept."""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.calibration.fit import Fit, fit
from vram_advisor.calibration.prediction import Predict, predicting
from vram_advisor.domain.calibration import Calibration, calibration_id, key_of
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.trial import Measurement
from vram_advisor.units.errors import BadInput


def learn(
    measurements: Sequence[Measurement],
    created: str,
    program: str,
    predict: Predict = predicting,
    believed: Coefficients | None = None,
) -> tuple[Calibration, Fit]:
    """The calibration, and the fit behind it.

    Args:
        measurements: runs of one recipe on one device.
        created: UTC, ISO 8601 with seconds.
        program: version of this program.
        predict: the prediction of a run as a function of the coefficients.
        believed: what is believed before; None: what is believed of the backend.

    Raises:
        BadInput: there are no measurements, or they are of several devices or recipes.
        NotModelled: a trial has no prediction.
    """
    keys = {key_of(each) for each in measurements}
    if len(keys) != 1:
        raise BadInput(f"A calibration is of one device and one recipe; these measurements are of {len(keys)}.")
    (key,) = keys
    found = fit(measurements, predict, believed)
    return Calibration(
        id=calibration_id(key, created),
        created=created,
        program=program,
        key=key,
        learnt=found.learnt,
        measurements=tuple(measurements),
    ), found
