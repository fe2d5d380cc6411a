"""The only place that knows whether a formula works on one number or on an array of them.

Formulas use plain arithmetic and these four helpers, so the same text answers one question and a grid of a million.
Arrays are recognised by the array API's ``__array_namespace__``; numpy is never imported here.
"""

from typing import Any

Number = Any
"""An int, a float, or an array of either."""


def _namespace(*values: Number) -> Any:
    for value in values:
        found = getattr(value, "__array_namespace__", None)
        if found is not None:
            return found()
    return None


def largest(*values: Number) -> Number:
    """The largest of the values, element by element."""
    xp = _namespace(*values)
    if xp is None:
        return max(values)
    result = values[0]
    for value in values[1:]:
        result = xp.maximum(result, value)
    return result


def smallest(*values: Number) -> Number:
    """The smallest of the values, element by element."""
    xp = _namespace(*values)
    if xp is None:
        return min(values)
    result = values[0]
    for value in values[1:]:
        result = xp.minimum(result, value)
    return result


def where(condition: Number, yes: Number, no: Number) -> Number:
    """``yes`` where the condition holds, else ``no``."""
    xp = _namespace(condition, yes, no)
    if xp is None:
        return yes if condition else no
    return xp.where(condition, yes, no)


def ceil_div(a: Number, b: Number) -> Number:
    """The smallest integer that is at least a / b, in integers."""
    return -(-a // b)


def power_of_two(a: Number) -> Number:
    """The smallest power of two that is at least a."""
    xp = _namespace(a)
    if xp is None:
        return 1 << max(0, int(a - 1).bit_length())
    return xp.astype(xp.exp2(xp.ceil(xp.log2(xp.astype(a, xp.float64)))), xp.int64)
