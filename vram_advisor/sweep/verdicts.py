"""Needs of a model against every card, on arrays: the arithmetic of ``memory.numbers`` and ``advice.verdict``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import numpy as np

from vram_advisor.advice.verdict import FITS, TIGHT
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.sweep import Question
from vram_advisor.sweep.kinds import Floats, Kinds, Whole, family
from vram_advisor.sweep.needs import Needs

OUTCOMES = ("fits", "tight", "spill", "no", "not modelled")
WITHIN = 0.99
"""Share of a card that reserved memory and context can take, as in ``memory.numbers``."""
FAR = 8.0
"""Standard deviations behind which a probability is 0 or 1 to 15 digits."""
NODES = np.linspace(-FAR, FAR, 1 << 17)
NORMAL = np.array([0.5 * erfc(-z / sqrt(2)) for z in NODES.tolist()])
"""Straight lines between so many nodes are within 10^-9 of the curve."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answers:
    """Of one model. Shapes: [cards, questions]; of ``free`` too, as a program may take a share only."""

    minimum: Floats
    """Mean of the minimum to run [B]; not a number where there is no answer."""
    minimum_sd: Floats
    """Its standard deviation [B]."""
    free: Floats
    """What it may take of the card [B]."""
    headroom: Floats
    """What stays of that [B]; negative where it is too little."""
    probability: Floats
    outcome: Whole
    """Index of ``OUTCOMES``."""
    phase: Whole
    """Index of ``needs.PHASES``."""
    refusal: Whole
    """Index of ``Needs.refusals``; -1 where there is an answer."""


def answers(found: Needs, questions: Sequence[Question], kinds: Kinds, cards: Sequence[Device]) -> Answers:
    """Compare what a model needs with every card."""
    groups = np.array([family(question) for question in questions])
    kind = kinds.of_card[groups].T
    rows = np.arange(len(questions))[None, :]

    def at(values: Any) -> Any:
        return values[rows, kind]

    context, context_sd = kinds.context[groups].T, kinds.context_sd[groups].T
    total = np.array([device.total_bytes for device in cards], float)[:, None]
    room = total * WITHIN - context
    minimum, reserved = at(found.minimum), at(found.reserved)
    pressed = (at(found.least) <= room) & (reserved > room)
    minimum = np.where(pressed, np.minimum(minimum, room), minimum) + context
    minimum_sd = np.hypot(at(found.spread), context_sd)
    share = at(found.share)
    shared = ~np.isnan(share)
    card_free = np.array([device.free_bytes for device in cards], float)[:, None]
    free = np.where(shared, share, card_free)
    free_sd = np.array([device.free_sd_bytes for device in cards], float)[:, None]
    spread = np.hypot(minimum_sd, free_sd)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, (free - minimum) / spread, np.where(minimum <= free, FAR, -FAR))
    probability = np.interp(z, NODES, NORMAL)
    too_large = shared & (share > card_free)
    probability = np.where(too_large, 0.0, probability)
    windows = np.array([device.system == "windows" for device in cards])[:, None] & ~shared
    outcome = np.where(windows, 2, 3)
    outcome = np.where(probability >= TIGHT, 1, outcome)
    outcome = np.where(probability >= FITS, 0, outcome)
    refusal = at(found.refusal)
    outcome = np.where(refusal >= 0, 4, outcome)
    headroom = np.where(too_large, card_free - share, free - np.floor(minimum))
    free = np.where(too_large, card_free, free)
    return Answers(minimum, minimum_sd, free, headroom, probability, outcome, at(found.phase), refusal)
