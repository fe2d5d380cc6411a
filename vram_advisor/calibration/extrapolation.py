"""A step at full depth from the same step at two small depths.

Windows between borders are matched from both ends of a pass over the layers: a layer that is so many layers away from
the first, or from the last, finds the same in both runs but for what each group of layers adds to it. That is exact, as
long as every kind of layer is matched once inside the model and not only at its ends (``depths.Pattern.short``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vram_advisor.calibration.depths import Pattern
from vram_advisor.calibration.phases import BACKWARD_MIDDLE, PHASES, phase_of_middle
from vram_advisor.domain.trace import TracedPhase


@dataclass(frozen=True, slots=True)
class Moment:
    """The largest moment of one window: what lies between two borders."""

    border: str
    """The border that the window begins with (``phases``)."""
    nbytes: int
    by_category: dict[str, int]


class Unequal(Exception):
    """Two runs do not pass the same borders, so that nothing follows from them."""


def extrapolated(short: Sequence[Moment], long: Sequence[Moment], found: Pattern) -> list[Moment]:
    """Moments at full depth.

    Args:
        short: a run at the smaller of the depths of the pattern.
        long: one at the larger.
        found: the pattern of the layers.

    Raises:
        Unequal: the runs differ in more than one group of layers.
    """
    times = found.groups - (3 if found.group == 1 else 2)
    moments: list[Moment] = []
    pairs = list(zip(_passes(short), _passes(long), strict=False))
    if [a[0] for a, _ in pairs] != [b[0] for _, b in pairs] or len(_passes(short)) != len(_passes(long)):
        raise Unequal
    for (family, first), (_, second) in pairs:
        if family not in ("forward", "backward"):
            if len(first) != len(second):
                raise Unequal
            moments += [_line(a, b, times) for a, b in zip(first, second, strict=True)]
            continue
        if len(second) - len(first) != found.group:
            raise Unequal
        bottom, top = found.short - found.rest - 1, found.short - found.prefix - 1
        head, tail = (bottom, top) if family == "forward" else (top, bottom)
        moments += [_line(a, b, times) for a, b in zip(first[:head], second[:head], strict=True)]
        moments += [_line(a, b, times) for a, b in zip(first[-tail:], second[-tail:], strict=True)]
    return moments


def phases_of(moments: Sequence[Moment]) -> tuple[TracedPhase, ...]:
    """The largest moment of each phase, in order."""
    largest: dict[str, Moment] = {}
    for moment in moments:
        if moment.border not in largest or moment.nbytes > largest[moment.border].nbytes:
            largest[moment.border] = moment
    where = phase_of_middle({border: moment.nbytes for border, moment in largest.items()})
    if where is not None:
        largest[where] = largest[BACKWARD_MIDDLE]
    return tuple(
        TracedPhase(phase, largest[phase].nbytes, largest[phase].by_category) for phase in PHASES if phase in largest
    )


def _line(a: Moment, b: Moment, times: int) -> Moment:
    """The moment after so many more groups than in the first run."""
    parts = {name: n + times * (b.by_category[name] - n) for name, n in a.by_category.items()}
    return Moment(b.border, a.nbytes + times * (b.nbytes - a.nbytes), parts)


def _passes(moments: Sequence[Moment]) -> list[tuple[str, list[Moment]]]:
    """Windows of phases in order, those of one pass over the layers together."""
    passes: list[tuple[str, list[Moment]]] = []
    for moment in _inside(moments):
        family = "backward" if moment.border.startswith("backward") else moment.border
        if not passes or passes[-1][0] != family:
            passes.append((family, []))
        passes[-1][1].append(moment)
    return passes


def _inside(moments: Sequence[Moment]) -> Iterator[Moment]:
    return (moment for moment in moments if moment.border in (*PHASES, BACKWARD_MIDDLE))
