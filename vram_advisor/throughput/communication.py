"""Time that several GPUs spend exchanging weights and gradients, roughly.

Counts of bytes are those of ring algorithms: (N - 1)/N of a tensor per GPU to gather or to reduce and scatter it, twice
that to reduce it everywhere (Rajbhandari et al. 2020, arXiv 1910.02054, 7; Patarasuk and Yuan 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.efficiencies import Efficiencies
from vram_advisor.domain.plan import Sharding
from vram_advisor.domain.throughput import SpeedTerm
from vram_advisor.throughput.roofline import Link, term
from vram_advisor.units.grid import Number

GATHERS = 2
"""Sharded weights are gathered in the forward and in the backward pass."""
SHARDS_WEIGHTS = frozenset({"fsdp_full", "zero3"})
REDUCES_EACH_PASS = frozenset({"fsdp_full", "fsdp_grad_op", "zero2", "zero3"})
"""Gradients are reduced in every micro batch; otherwise once per optimizer step."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What one GPU sends and receives."""

    per_pass: SpeedTerm | None
    """In each micro batch, while it computes."""
    per_step: SpeedTerm | None
    """At the end of the backward pass."""


def exchanged(
    sharding: Sharding, gpus: int, weights: Number, gradients: Number, link: Link, efficiencies: Efficiencies
) -> Exchanged:
    """What the GPUs exchange.

    Args:
        weights: of the base as they are gathered [B].
        gradients: of what is trained [B].
    """
    if gpus < 2 or sharding == "none":
        return Exchanged(None, None)
    share = (gpus - 1) / gpus
    reached = efficiencies.nvlink if link.nvlink else efficiencies.peer
    each: Number = 0
    once: Number = 0
    if sharding in SHARDS_WEIGHTS:
        each = GATHERS * share * weights
    if sharding in REDUCES_EACH_PASS:
        each = each + share * gradients
        once = 0 if sharding in SHARDS_WEIGHTS else share * gradients
    else:
        once = 2 * share * gradients
    return Exchanged(
        term("weights and gradients between the GPUs", "interconnect", each, "B", link.rate, reached),
        term("gradients between the GPUs", "interconnect", once, "B", link.rate, reached),
    )
