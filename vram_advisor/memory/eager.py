"""Attention written out in Python: scores [micro batch x heads x length x length].

Source: transformers ``models/llama/modeling_llama.py`` eager_attention_forward and its relatives (``habits.Eager``).
"""

from __future__ import annotations

from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.tape import Value


def eager(t: LayerTape, q: Value, k: Value, v: Value, a: Attention, h: Habits) -> Value:
    """Scores, mask, softmax, product with the values."""
    n = t.numerics
    heads = a.num_attention_heads
    if h.fused == "slices" and a.num_key_value_heads > 1 or not n.one_sequence:
        k = repeat(t, k, "key", q.width)
        v = repeat(t, v, "value", a.output_size)
    if h.eager == "fp32_products":
        q, k = t.cast(q, 4, "query in fp32"), t.cast(k, 4, "key in fp32")
    entered = v.itemsize
    if n.autocast is not None:
        q, k, v = t.cast(q, n.autocast), t.cast(k, n.autocast), t.cast(v, n.autocast)
    masked = summed(t, product(t, q, k, a, h), a, h)
    soft = softmax(t, masked, h)
    probabilities = t.cast(soft, n.autocast or entered, "attention probabilities")
    if a.dropout:
        probabilities = t.dropout(probabilities, "attention probabilities")
    out = t.record(
        "attention output by head", [probabilities, v], q.rows, a.output_size, v.itemsize, saved=[probabilities, v]
    )
    merged = t.record("attention output", [out], q.rows, a.output_size, v.itemsize, passes_gradient=True)
    t.drop(masked, probabilities, k, v)
    return merged


def repeat(t: LayerTape, x: Value, label: str, width: int) -> Value:
    """``repeat_kv``: keys and values once per query head."""
    return x if x.width == width else t.record(f"{label} per query head", [x], x.rows, width, x.itemsize)


def product(t: LayerTape, q: Value, k: Value, a: Attention, h: Habits) -> Value:
    """Scaled products of queries and keys."""
    raw = t.record("attention scores", [q, k], "Q", a.num_attention_heads, q.itemsize, saved=[q, k])
    if h.eager == "biased":
        return raw
    if h.eager == "in_place":
        return t.record("attention scores scaled", [raw], raw.rows, raw.width, raw.itemsize, view=True, slices=True)
    scaled = t.scale(raw, "scaled attention scores")
    if not a.softcapping:
        return scaled
    small = t.scale(scaled, "attention scores / cap")
    bent = t.record("attention tanh", [small], raw.rows, raw.width, raw.itemsize, save_output=True)
    return t.scale(bent, "capped attention scores")


def summed(t: LayerTape, scaled: Value, a: Attention, h: Habits) -> Value:
    """Scores with mask and bias."""
    itemsize = 4 if h.eager == "biased_fp32" else scaled.itemsize
    if h.eager == "biased_fp32":
        scaled = t.record("biased attention scores", [scaled], scaled.rows, scaled.width, itemsize, casts_gradient=True)
        return t.record("masked attention scores", [scaled], scaled.rows, scaled.width, itemsize)
    return t.record("masked attention scores", [scaled], scaled.rows, scaled.width, itemsize, passes_gradient=True)


def softmax(t: LayerTape, masked: Value, h: Habits) -> Value:
    """The softmax in fp32, or in the dtype of its input where autocast does not change that."""
    own = h.eager == "in_place" or (h.eager == "own_dtype" and t.numerics.autocast is None)
    wide = masked if own else t.cast(masked, 4, "attention scores in fp32")
    label = "attention probabilities in fp32" if wide.itemsize == 4 else "softmax of attention scores"
    return t.record(label, [wide], wide.rows, wide.width, wide.itemsize, save_output=True)
