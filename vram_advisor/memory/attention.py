"""Softmax attention from the normed input to the output projection.

Source: transformers ``models/llama/modeling_llama.py`` LlamaAttention and its relatives (``habits``).
"""

from __future__ import annotations

from vram_advisor.domain.model import Attention, NormKind
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm, weightless
from vram_advisor.memory.rotary import rotate, rotate_both
from vram_advisor.memory.scores import scores
from vram_advisor.memory.tape import Value


def attention(
    t: LayerTape, x: Value, a: Attention, h: Habits, kind: NormKind, dropout: bool
) -> tuple[Value, tuple[Value, ...]]:
    """Grouped-query attention from the normed input to the output projection, and what the layer holds until its end.

    ``kind`` is the norm of the block.
    """
    gate: Value | None = None
    if a.output_gate:
        q, gate, k, v = gated_projections(t, x, a, kind)
        whole: tuple[Value, ...] = (gate,)
        q, k = rotate_both(t, q, k, a, h)
    elif h.each_in_full:
        q, k, v, whole = in_full(t, x, a, kind)
    else:
        q, k, v, whole = projections(t, x, a, h, kind)
        if a.rotary_dim:
            q, k = rotate_both(t, q, k, a, h)
    if h.qk_norm == "rotated":
        q, k = both_normed(t, q, k, a, kind)
    out, weights = scores(t, q, k, v, a, h)
    if gate is not None:
        bent = t.record("sigmoid of the attention gate", [gate], "T", gate.width, gate.itemsize, save_output=True)
        gated = t.multiply(out, bent, "gated attention output")
        t.drop(out, bent)
        out = gated
    result = linear(t, out, a.modules[3], x.width)
    t.drop(out)
    if dropout and h.dropout_inside:
        result = t.dropout(result, "attention")
    t.drop(q, k, v, x, *whole)
    if dropout and not h.dropout_inside and h.dropout_of_attention:
        result = t.dropout(result, "attention")
    return result, (weights,) if weights else ()


Parts = tuple[Value, Value, Value, tuple[Value, ...]]
"""Queries, keys, values, and the fused projection where none of them is a view of it."""


def projections(t: LayerTape, x: Value, a: Attention, h: Habits, kind: NormKind) -> Parts:
    """Queries, keys and values, normed where the architecture does."""
    names = a.modules
    if names[0] == names[1]:
        return taken_apart(t, linear(t, x, names[0], a.query_size + a.key_size + a.value_size), a, h)
    each = h.qk_norm == "each"
    q = linear(t, x, names[0], a.query_size)
    if h.scaled_query:
        q = t.scale(q, "scaled query")
    if each:
        q = qk_norm(t, q, "query", a, a.num_attention_heads, kind)
    k = linear(t, x, names[1], a.key_size)
    if each:
        k = qk_norm(t, k, "key", a, a.num_key_value_heads, kind)
    v = linear(t, x, names[2], a.value_size)
    if h.qk_norm == "late":
        q, k = both_normed(t, q, k, a, kind)
    return q, k, v, ()


def gated_projections(t: LayerTape, x: Value, a: Attention, kind: NormKind) -> tuple[Value, Value, Value, Value]:
    """Queries with a gate beside each head (Qwen3-Next, Qwen3.5): the gate is copied out, queries are normed."""
    both = linear(t, x, a.modules[0], 2 * a.query_size)
    q, beside = t.split(both, query=a.query_size, gate=a.query_size)
    gate = t.record("attention gate", [beside], "T", a.query_size, beside.itemsize)
    q = qk_norm(t, q, "query", a, a.num_attention_heads, kind)
    t.drop(both, beside)
    k = qk_norm(t, linear(t, x, a.modules[1], a.key_size), "key", a, a.num_key_value_heads, kind)
    return q, gate, k, linear(t, x, a.modules[2], a.value_size)


def in_full(t: LayerTape, x: Value, a: Attention, kind: NormKind) -> Parts:
    """Gemma 4: queries with norm and positions first, then keys, then values, which keys may double as."""
    item = t.numerics.stream
    q = linear(t, x, a.modules[0], a.query_size)
    q = rotate(t, qk_norm(t, q, "query", a, a.num_attention_heads, kind), "query", item)
    k = linear(t, x, a.modules[1], a.key_size)
    v = k if a.k_is_v else linear(t, x, a.modules[2], a.value_size)
    k = rotate(t, qk_norm(t, k, "key", a, a.num_key_value_heads, kind), "key", item)
    return q, k, weightless(t, v, "value norm", a.num_key_value_heads), ()


def both_normed(t: LayerTape, q: Value, k: Value, a: Attention, kind: NormKind) -> tuple[Value, Value]:
    """Queries and keys, normed where the model does."""
    return (
        qk_norm(t, q, "query", a, a.num_attention_heads, kind),
        qk_norm(t, k, "key", a, a.num_key_value_heads, kind),
    )


def taken_apart(t: LayerTape, fused: Value, a: Attention, h: Habits) -> Parts:
    """Queries, keys and values of a fused projection."""
    if h.fused == "split":
        q, k, v = t.split(fused, query=a.query_size, key=a.key_size, value=a.value_size)
        return q, k, v, ()
    widths = {"query": a.query_size, "key": a.key_size, "value": a.value_size}
    q, k, v = (
        t.record(name, [fused], fused.rows, width, fused.itemsize, view=True, slices=True)
        for name, width in widths.items()
    )
    if h.fused == "slices":
        return q, k, v, ()
    if a.num_key_value_heads == a.num_attention_heads:
        return q, k, v, ()
    # Falcon indexes keys and values by a list, which copies them; with grouped queries it repeats them for every head.
    grouped = a.num_key_value_heads > 1
    width = a.query_size if grouped else a.key_size
    k, v = (t.record(f"{n} copied", [p], p.rows, width, p.itemsize) for n, p in (("key", k), ("value", v)))
    if grouped:
        q = t.record("query copied", [q], q.rows, q.width, q.itemsize)
    return q, k, v, (fused,)


def qk_norm(t: LayerTape, x: Value, label: str, a: Attention, heads: int, kind: NormKind) -> Value:
    """A norm of each head of queries or keys, or of all heads as one; x itself where the model has none."""
    if a.qk_norm == "none":
        return x
    if a.qk_norm == "weightless":
        return weightless(t, x, f"{label} norm", heads)
    if a.qk_norm == "head":
        return norm(t, x, f"{label} norm", kind, a.head_dim, heads)
    return norm(t, x, f"{label} norm", kind)
