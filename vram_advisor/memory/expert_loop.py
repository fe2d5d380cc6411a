"""Experts as linear layers, one after the other (transformers 4).

Source: transformers 4.45 to 4.57 ``models/mixtral/modeling_mixtral.py`` MixtralSparseMoeBlock.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Experts
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def expert_loop(t: LayerTape, x: Value, weights: Value, e: Experts) -> Value:
    """To be played for the average expert."""
    raise NotImplementedError
