"""The gated delta net of Qwen3-Next, Qwen3.5 and Qwen3.6 as PyTorch runs it without flash-linear-attention.

Sources: transformers 5.23 ``models/qwen3_5/modeling_qwen3_5.py`` Qwen3_5GatedDeltaNet and Qwen3_5RMSNormGated;
``models/qwen3_next/modeling_qwen3_next.py`` Qwen3NextGatedDeltaNet, which has fused projections.
"""

from __future__ import annotations

from vram_advisor.domain.model import StateSpace
from vram_advisor.memory.delta_rule import delta_rule
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import root_mean_square, weighted
from vram_advisor.memory.short_conv import convolution, without_padding
from vram_advisor.memory.tape import Value


def delta_net(t: LayerTape, x: Value, s: StateSpace, fused: bool) -> Value:
    """From the normed input to the output projection; ``fused``: two projections instead of four."""
    whole = x
    x = without_padding(t, x)
    keys, values, heads = s.num_groups * s.state_size, s.inner_size, s.num_heads
    if fused:
        mixed, z, b, a, held = fused_projections(t, x, keys, values, heads)
    else:
        mixed = linear(t, x, "in_proj_qkv", 2 * keys + values)
        z = linear(t, x, "in_proj_z", values)
        b = linear(t, x, "in_proj_b", heads)
        a = linear(t, x, "in_proj_a", heads)
        held = ()
    convolved = convolution(t, mixed, s, "mixed queries, keys and values")
    t.drop(mixed)
    bent = t.record(
        "activated queries, keys and values", [convolved], "T", convolved.width, convolved.itemsize, saved=[convolved]
    )
    t.drop(convolved)
    query, key, value = t.split(bent, query=keys, key=keys, value=values)
    beta = t.record("learning rate", [b], "T", heads, b.itemsize, save_output=True)
    decay = log_decay(t, a)
    core = delta_rule(t, (query, key, value), beta, decay, s)
    normed = gated_norm(t, core, z, s)
    out = linear(t, normed, "out_proj", x.width)
    t.drop(normed, z, b, a, query, key, value, bent, beta, decay, x, whole, *held)
    return out


Parts = tuple[Value, Value, Value, Value, tuple[Value, ...]]


def fused_projections(t: LayerTape, x: Value, keys: int, values: int, heads: int) -> Parts:
    """Qwen3-Next: parts lie together head by head, so taking them apart copies what is not a head of its own."""
    everything = linear(t, x, "in_proj_qkvz", 2 * keys + 2 * values)
    small = linear(t, x, "in_proj_ba", 2 * heads)
    q, k, v, z = t.split(everything, query=keys, key=keys, value=values, gate=values)
    b, a = t.split(small, rate=heads, decay=heads)
    copies = [
        t.record(f"{name} by head", [part], "T", part.width, part.itemsize)
        for name, part in (("value", v), ("gate", z), ("learning rate", b), ("decay", a), ("query", q), ("key", k))
    ]
    v, z, b, a, q, k = copies
    mixed = t.record("queries, keys and values", [q, k, v], "T", 2 * keys + values, q.itemsize)
    return mixed, z, b, a, (everything, small, q, k, v)


def log_decay(t: LayerTape, a: Value) -> Value:
    """``-exp(A) * softplus(a + dt)`` in fp32."""
    a32 = t.cast(a, 4, "decay in fp32")
    shifted = t.record("shifted decay", [a32], "T", a.width, 4, passes_gradient=True)
    t.drop(a32)
    soft = t.record("softplus of the decay", [shifted], "T", a.width, 4, saved=[shifted])
    out = t.record("log decay", [soft], "T", a.width, 4, saved=[soft] if t.numerics.train_base else [])
    t.drop(shifted, soft)
    return out


def gated_norm(t: LayerTape, x: Value, gate: Value, s: StateSpace) -> Value:
    """The norm of each head times the activated gate, in fp32."""
    n = t.numerics
    normed = root_mean_square(t, x, "gated norm", s.num_heads)
    narrow = t.cast(normed, x.itemsize, "gated norm normed")
    output = weighted(t, narrow, "gated norm", s.head_dim, n.norm_weight)
    t.drop(normed, narrow)
    wide = t.cast(gate, 4, "gate in fp32")
    active = t.record("activated gate", [wide], "T", gate.width, 4, saved=[wide])
    product = t.multiply(output, active, "gated norm times gate")
    t.drop(output, active, wide)
    return t.cast(product, x.itemsize, "gated norm output")
