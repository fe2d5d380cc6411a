"""A mixture of experts without gradients.

Sources: transformers 5.23 ``integrations/moe.py`` grouped_mm_experts_forward (rows sorted by expert, two grouped
matrix products), ``models/llama4/modeling_llama4.py`` (every expert sees every token), traced; ``models/qwen2_moe`` of
transformers 4.38 (one expert after the other).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Experts
from vram_advisor.memory.activations import activate
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value
from vram_advisor.units.grid import ceil_div

WIDE_ROUTING = frozenset(
    ("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "dots1",
     "hunyuan_v1_moe", "minimax_m2", "gemma4_text", "nemotron_h")
)  # fmt: skip
"""Architectures whose routing weights are fp32, so the weighted outputs of the experts are."""

SHARED_FIRST = frozenset(("qwen2_moe", "qwen3_next", "qwen3_5_moe_text", "ernie4_5_moe", "hunyuan_v1_moe", "llama4_text"))
"""Architectures that run the shared expert before the others; the rest run it after them."""

EVERY_EXPERT = frozenset(("llama4_text",))
"""Architectures in which every expert multiplies every token."""

INDICES = 36
"""Bytes of one pair of token and expert: its expert twice, its place twice, its weight twice [B]."""


def experts(t: LayerTape, x: Value, e: Experts, architecture: str) -> Value:
    """Router, experts, shared expert. x [T x hidden_size]."""
    shared_first = bool(e.shared_expert_intermediate_size) and architecture in SHARED_FIRST
    beside = shared(t, x, e) if shared_first else None
    scores = t.record("router scores", [x], "T", e.num_experts, 4)
    inner = x
    if e.latent_size:
        inner = t.matmul(x, "latent of the experts", x.width, e.latent_size, t.numerics.weight, False)
    if t.numerics.linear_experts:
        routed = one_by_one(t, inner, e)
    elif architecture in EVERY_EXPERT:
        routed = every_expert(t, inner, e)
    else:
        routed = grouped(t, inner, e, 4 if architecture in WIDE_ROUTING else x.itemsize)
    t.drop(scores)
    if e.latent_size:
        routed = t.matmul(routed, "experts out of their latent", e.latent_size, x.width, t.numerics.weight, False)
    if e.shared_expert_intermediate_size and beside is None:
        beside = shared(t, x, e)
    t.drop(x)
    return t.add(routed, beside, "experts and shared expert") if beside is not None else routed


def grouped(t: LayerTape, x: Value, e: Experts, routing: int) -> Value:
    """Tokens sorted by expert, two grouped matrix products; ``routing``: item size of the routing weights [B]."""
    k, item = e.num_experts_per_tok, x.itemsize
    wide = e.moe_intermediate_size * (2 if e.gated else 1)
    pairs = t.record("routing indices", [x], "T", k * INDICES, 1)
    gathered = t.record("tokens gathered by expert", [x], "T", k * x.width, item)
    held = [pairs, gathered]
    if e.bias:
        held.append(t.record("biases gathered by expert", [pairs], "T", k * wide, item))
    up = t.record("experts up", [gathered], "T", k * wide, item)
    if e.gated:
        gate, other = t.split(up, gate=k * e.moe_intermediate_size, up=k * e.moe_intermediate_size)
        if e.bias:
            inner = clamped(t, gate, other)
        else:
            inner = t.multiply(activate(t, gate, e.activation, "experts activated"), other, "experts gated product")
        t.drop(up)
    else:
        inner = activate(t, up, e.activation, "experts activated")
    down = t.record("experts down", [inner], "T", k * x.width, item)
    weighted = t.record("experts weighted", [down], "T", k * x.width, routing)
    restored = t.record("experts in the order of tokens", [weighted], "T", k * x.width, routing)
    out = t.cast(t.record("sum of experts", [restored], "T", x.width, routing), item)
    t.drop(down, restored, *held)
    return out


def clamped(t: LayerTape, gate: Value, up: Value) -> Value:
    """``(clamp(up) + 1) * clamp(gate) * sigmoid(gate)`` of gpt-oss."""
    gate = t.scale(gate, "clamped gate")
    up = t.scale(up, "clamped up")
    active = t.multiply(gate, t.scale(gate, "sigmoid of the gate"), "experts activated")
    out = t.multiply(t.scale(up, "clamped up + 1"), active, "experts gated product")
    t.drop(gate, up)
    return out


def every_expert(t: LayerTape, x: Value, e: Experts) -> Value:
    """All tokens through all experts, weighted by zero where they are not chosen."""
    n, item = e.num_experts, x.itemsize
    repeated = t.record("tokens repeated for every expert", [x], "T", n * x.width, item)
    weighted = t.record("tokens weighted by expert", [repeated], "T", n * x.width, item)
    up = t.record("experts up", [weighted], "T", 2 * n * e.moe_intermediate_size, item)
    gate, other = t.split(up, gate=n * e.moe_intermediate_size, up=n * e.moe_intermediate_size)
    inner = t.multiply(other, activate(t, gate, e.activation, "experts activated"), "experts gated product")
    t.drop(up)
    down = t.record("experts down", [inner], "T", n * x.width, item)
    out = t.record("sum of experts", [down], "T", x.width, item)
    t.drop(weighted, down)
    return out


def one_by_one(t: LayerTape, x: Value, e: Experts) -> Value:
    """One expert after the other, each on its share of the tokens; shares are taken as equal."""
    share = int(ceil_div(e.num_experts_per_tok * (2 * x.width + 3 * e.moe_intermediate_size), e.num_experts))
    work = [Amount("one expert at work", "T", share, x.itemsize, "workspace")]
    return t.record("sum of experts", [x], "T", x.width, x.itemsize, temporaries=work)


def shared(t: LayerTape, x: Value, e: Experts) -> Value:
    """The expert that every token passes."""
    width, item = e.shared_expert_intermediate_size, x.itemsize
    up = t.record("shared expert up", [x], "T", width, item)
    inner = activate(t, up, e.activation, "shared expert activated")
    if e.gated:
        other = t.record("shared expert second up", [x], "T", width, item)
        inner = t.multiply(inner, other, "shared expert gated product")
    return t.record("shared expert down", [inner], "T", x.width, item)
