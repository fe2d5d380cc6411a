"""Mixtures of experts that are not played in training, without gradients.

Source: transformers 5.23 ``models/llama4/modeling_llama4.py`` (every expert multiplies every token),
``models/nemotron_h/modeling_nemotron_h.py`` (experts that work on a projection of the tokens), traced.
"""

from __future__ import annotations

from vram_advisor.domain.model import Experts
from vram_advisor.memory.activations import activate
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.experts import experts, shared
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.tape import Value

EVERY_EXPERT = frozenset(("llama4_text",))
"""Architectures in which every expert multiplies every token."""


def is_routed_plainly(e: Experts, architecture: str) -> bool:
    """Whether tokens go to their experts as they are: what training plays too."""
    return not e.latent_size and architecture not in EVERY_EXPERT


def any_experts(t: LayerTape, x: Value, e: Experts, architecture: str, h: Habits) -> Value:
    """Router, experts, shared expert. x [T x hidden_size]."""
    if is_routed_plainly(e, architecture):
        return experts(t, x, e, h)
    if architecture in EVERY_EXPERT:
        return every_expert(t, x, e)
    # The shared expert sees the tokens themselves, the others their projection.
    narrow = t.matmul(x, "latent of the experts", x.width, e.latent_size or 0, t.numerics.weight, False)
    routed = experts(t, narrow, without_shared(e), h)
    out = t.matmul(routed, "experts out of their latent", routed.width, x.width, t.numerics.weight, False)
    if e.shared_expert_intermediate_size:
        out = t.add(out, shared(t, x, e), "experts and shared expert")
    t.drop(x)
    return out


def without_shared(e: Experts) -> Experts:
    """The same experts without the one that every token passes."""
    return Experts(
        e.num_experts,
        e.num_experts_per_tok,
        e.moe_intermediate_size,
        gated=e.gated,
        bias=e.bias,
        activation=e.activation,
    )


def every_expert(t: LayerTape, x: Value, e: Experts) -> Value:
    """All tokens through all experts, weighted by zero where they are not chosen; the shared expert before them."""
    n, item = e.num_experts, x.itemsize
    beside = shared(t, x, e) if e.shared_expert_intermediate_size else None
    repeated = t.record("tokens repeated for every expert", [x], "T", n * x.width, item)
    weighted = t.record("tokens weighted by expert", [repeated], "T", n * x.width, item)
    up = t.record("experts up", [weighted], "T", 2 * n * e.moe_intermediate_size, item)
    gate, other = t.split(up, gate=n * e.moe_intermediate_size, up=n * e.moe_intermediate_size)
    inner = t.multiply(other, activate(t, gate, e.activation, "experts activated"), "experts gated product")
    t.drop(up)
    down = t.record("experts down", [inner], "T", n * x.width, item)
    out = t.record("sum of experts", [down], "T", x.width, item)
    t.drop(weighted, down, x)
    return t.add(out, beside, "experts and shared expert") if beside is not None else out
