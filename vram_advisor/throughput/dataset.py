"""How long a fine-tune on a dataset takes, from the lengths of its examples.

A batch is padded to its longest example, so the longer of several random ones costs for all: of n examples in order of
length, that with rank i is the longest of a random batch of b with probability ``(i/n)^b - ((i-1)/n)^b``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.throughput import Job, LengthSummary, Speed, spread
from vram_advisor.throughput.energy import cost, energy
from vram_advisor.units.errors import BadInput

SpeedOf = Callable[[int], Speed]
"""Speed of an optimizer step whose micro batches all have sequences of a length [tokens]."""
PERCENTS = (50, 75, 90, 95, 99, 100)
GROUPS = 32
"""Lengths that a step is computed for; those between are close enough."""


def summarised(lengths: Sequence[int], sequence_length: int) -> LengthSummary:
    """Percentiles, and the longest example.

    Raises:
        BadInput: there are no examples.
    """
    if not lengths:
        raise BadInput("The dataset has no examples.")
    ordered = sorted(lengths)
    longest = ordered[-1]
    return LengthSummary(
        examples=len(ordered),
        tokens=sum(ordered),
        percentiles=tuple((p, ordered[ceil(p / 100 * len(ordered)) - 1]) for p in PERCENTS),
        longest=longest,
        longest_index=list(lengths).index(longest),
        cut=sum(length > sequence_length for length in ordered),
    )


def batch_lengths(lengths: Sequence[int], batch: int, sequence_length: int) -> list[tuple[float, float]]:
    """Lengths of padded random batches, each with its probability, a few dozen of them [tokens]."""
    ordered = sorted(min(length, sequence_length) for length in lengths)
    n = len(ordered)
    size = max(1, ceil(n / GROUPS))
    found = []
    for start in range(0, n, size):
        part = ordered[start : start + size]
        below = (start / n) ** batch
        weight = expected = 0.0
        for rank, length in enumerate(part, start + 1):
            up_to = (rank / n) ** batch
            weight += up_to - below
            expected += (up_to - below) * length
            below = up_to
        if weight > 0:
            found.append((expected / weight, weight))
    return found


def job(
    lengths: Sequence[int], speed_of: SpeedOf, *, sequence_length: int, micro_batch_size: int = 1,
    gradient_accumulation_steps: int = 1, epochs: float = 1.0, gpu: GpuSpec, gpus: int = 1, packed: bool = False, share: float = 1.0,
    price_per_kwh: float | None = None, rent_per_hour: float | None = None, currency: str | None = None,
    other_watts: float = 0.0, efficiencies: Efficiencies = EFFICIENCIES,
) -> Job:  # fmt: skip
    """Steps, time, energy and money of a fine-tune.

    Args:
        lengths: of the examples, in the order of the dataset [tokens].
        speed_of: how long a step takes at a length; it counts all micro batches and GPUs of a step.
        sequence_length: longer examples are cut to it; packed ones fill it.
        packed: examples are strung together instead of padded.
        share: of the dataset that the lengths are; the rest is like them.
        price_per_kwh, rent_per_hour: in the currency; the rent is that of all GPUs together.
        other_watts: what the rest of the computer draws [W].

    Raises:
        BadInput: there are no examples.
    """
    summary = summarised(lengths, sequence_length)
    if packed:
        kept = summary.tokens / share
        sequences = ceil(kept / sequence_length)
        grouped = [(float(sequence_length), 1.0)]
    else:
        kept = sum(min(length, sequence_length) for length in lengths) / share
        sequences = round(summary.examples / share)
        grouped = batch_lengths(lengths, micro_batch_size, sequence_length)
    passes = ceil(sequences / (micro_batch_size * gpus))
    steps = ceil(ceil(passes / gradient_accumulation_steps) * epochs)
    mid = weighted_sd = expected = 0.0
    for length, probability in grouped:
        speed = speed_of(max(1, round(length)))
        part = probability * float(speed.seconds_per_step.mid)
        mid += part
        weighted_sd += part * float(speed.sd)
        expected += probability * length
    sd = weighted_sd / mid
    seconds = spread(mid * passes / gradient_accumulation_steps * epochs, sd)
    computed = round(expected * sequences * epochs)
    kwh = energy(seconds, sd, gpu, efficiencies.power_training, gpus, other_watts)
    money = cost(kwh, seconds, price_per_kwh, rent_per_hour)
    return Job(
        lengths=summary,
        steps=steps,
        computed_tokens=computed,
        padding_share=max(0.0, 1 - kept * epochs / computed),
        seconds=seconds,
        kwh=kwh,
        cost=money,
        currency=currency if money is not None else None,
    )
