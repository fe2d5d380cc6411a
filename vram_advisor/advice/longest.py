"""The longest context or sequence that fits a card, by few estimates: memory grows almost evenly with the length."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot

from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device

Q_FITS = 1.644853627
"""Quantile of the normal distribution at ``verdict.FITS``."""
GUESSES = 16
"""Estimates at most, not counting those next to a guess."""


def lacking(found: Estimate, device: Device) -> float:
    """What an estimate is short of fitting with a probability of 95 % [B]; negative: to spare."""
    return short_of(found.minimum_mean, found.minimum_sd, found.share_bytes, device)


def short_of(mean: float, sd: float, share: int | None, device: Device) -> float:
    """The same of a need.

    Args:
        mean, sd: the minimum to run [B].
        share: what a program takes of the card when it starts [B]; None: as much as it needs.
    """
    free = device.free_bytes if share is None else min(share, device.free_bytes)
    return mean + Q_FITS * hypot(sd, device.free_sd_bytes) - free


def longest_length(short: Callable[[int], float], most: int, grain: int) -> int:
    """The longest length up to ``most`` that is not short of memory, in multiples of ``grain``; 0: none is.

    False position between a length that fits and one that does not, and every second time their middle: layers whose
    window is full bend the line. What is returned was estimated; it may be less than the longest by a little where memory
    jumps.

    Args:
        short: what a length lacks [B].
        most: the longest that is asked about [tokens].
    """
    if (over := short(most)) <= 0:
        return most
    if most <= grain or (spare := short(grain)) > 0:
        return 0
    low, high = grain, most
    for turn in range(GUESSES):
        share = 0.5 if turn % 2 else -spare / (over - spare)
        guess = int(low + (high - low) * share) // grain * grain
        guess = max(guess, low + grain)
        if guess >= high:
            break
        if (lacks := short(guess)) > 0:
            high, over = guess, lacks
            continue
        beyond = guess + grain
        if beyond >= high or (next_lacks := short(beyond)) > 0:
            return guess
        low, spare = beyond, next_lacks
    return low
