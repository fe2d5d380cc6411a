"""From live tensors to what PyTorch's caching allocator takes from the card."""

import math

from vram_advisor.domain.coefficients import Coefficients

Q90 = 1.6448536269514722
"""Standard deviations on each side of a 90 % interval."""


def reserved_factor(coefficients: Coefficients) -> tuple[float, float]:
    """Mean and standard deviation of ln(reserved / allocated)."""
    return coefficients.slack_layer.value, coefficients.slack_layer.sd


def lognormal_quantiles(mid: float, sd: float) -> tuple[float, float]:
    """The 5 % and 95 % quantiles around a median for a standard deviation of the logarithm."""
    return mid * math.exp(-Q90 * sd), mid * math.exp(Q90 * sd)
