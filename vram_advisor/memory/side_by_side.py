"""A dense layer and a mixture of experts side by side (Gemma 4).

Source: transformers ``models/gemma4/modeling_gemma4.py`` Gemma4TextDecoderLayer, Gemma4TextRouter.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Block, Experts
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.experts import experts
from vram_advisor.memory.feed_forward import mlp
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm, weighted, weightless
from vram_advisor.memory.tape import Value


def side_by_side(t: LayerTape, x: Value, residual: Value, b: Block, h: Habits) -> Value:
    """The sum of both, each normed: the dense layer sees the normed x, the experts a norm of their own."""
    assert b.mlp is not None and b.experts is not None
    fed = mlp(t, x, b.mlp)
    dense = norm(t, fed, "dense norm", b.norm)
    weights = route_normed(t, residual, b.experts)
    routed = experts(t, norm(t, residual, "experts norm", b.norm), b.experts, h, weights)
    out = t.add(dense, norm(t, routed, "routed norm", b.norm), "dense and experts")
    t.drop(fed, dense, weights)
    return out


def route_normed(t: LayerTape, x: Value, e: Experts) -> Value:
    """Weights of the chosen experts, in fp32, times a trained number of each expert; the router norms its input."""
    n, k = t.numerics, e.num_experts_per_tok
    normed = weightless(t, x, "router norm", 1)
    scaled = t.scale(weighted(t, normed, "router scale", x.width, n.weight), "scaled router input")
    logits = linear(t, scaled, "proj", e.num_experts)
    wide = t.cast(logits, 4, "router scores in fp32")
    of_all = t.record("router probabilities", [wide], "T", e.num_experts, 4, save_output=True)
    t.drop(scaled, logits)
    places = Amount("chosen experts", "T", k, 8, "activation")
    top = t.record("probabilities of chosen experts", [of_all], "T", k, 4, saved=[places])
    return t.record("routing weights", [top], "T", k, 4)
