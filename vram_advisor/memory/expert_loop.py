"""Experts as linear layers, one after the other (transformers 4): each sees its own tokens.

Source: transformers 4.45 to 4.57 ``models/mixtral/modeling_mixtral.py`` MixtralSparseMoeBlock; tokens are taken to be
spread evenly, and X is the rows of one expert.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Experts
from vram_advisor.memory.activations import activate
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.tape import Value


def expert_loop(t: LayerTape, x: Value, weights: Value, e: Experts, h: Habits) -> Value:
    """The last expert at work, with what those before it saved and trained."""
    choice = t.record(
        "choice of experts", [weights], "T", e.num_experts_per_tok * e.num_experts, 8, differentiable=False
    )
    saved, trained = others(t, x, weights, e, h)
    before = t.record("sum of experts", [x, weights], "T", x.width, x.itemsize, saved=saved, parameters=trained)
    scaled = one_expert(t, x, weights, e, h)
    out = t.record("sum of experts", [before, scaled], "T", x.width, x.itemsize, view=True, slices=True)
    t.drop(choice)
    return out


def others(t: LayerTape, x: Value, weights: Value, e: Experts, h: Habits) -> tuple[list[Amount], list[Amount]]:
    """What all experts but one save, and the gradients of what they train."""
    probe = LayerTape(t.numerics, t.keep_gradients)
    one_expert(probe, x, weights, e, h)
    count = e.num_experts - 1
    given = (x.buffer, weights.buffer)
    saved = dict.fromkeys(a for o in probe.operations for a in o.saved if a not in given)
    t.autocast_copies += [a.repeated(count) for a in probe.autocast_copies]
    trained = [a for o in probe.operations for a in o.parameters]
    return [a.repeated(count) for a in saved], [a.repeated(count) for a in trained]


def one_expert(t: LayerTape, x: Value, weights: Value, e: Experts, h: Habits) -> Value:
    """``w2(act(w1(x)) * w3(x))`` of the tokens of one expert, weighted."""
    gate_name, up_name, down_name = h.expert_modules
    places = [Amount("tokens of one expert", "X", 1, 8, "activation")]
    rows = t.record("rows of one expert", [x], "X", x.width, x.itemsize, saved=places)
    inner = activate(
        t, linear(t, rows, gate_name, e.moe_intermediate_size), e.activation, "activated gate of one expert"
    )
    if e.gated:
        inner = t.multiply(inner, linear(t, rows, up_name, e.moe_intermediate_size), "gated product of one expert")
    down = linear(t, inner, down_name, x.width)
    chosen = t.record("routing weights of one expert", [weights], "X", 1, weights.itemsize, saved=places)
    itemsize = max(down.itemsize, chosen.itemsize)
    work = [Amount("weighted rows of one expert, gradient product", "X", x.width, itemsize, "workspace")]
    out = t.record(
        "weighted rows of one expert", [down, chosen], "X", x.width, itemsize,
        saved=[down, chosen], backward_temporaries=work,
    )  # fmt: skip
    t.drop(rows, inner)
    return t.cast(out, x.itemsize)
