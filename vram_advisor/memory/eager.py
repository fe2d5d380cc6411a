"""Attention written out in Python: scores [micro batch x heads x length x length].

Source: transformers ``models/llama/modeling_llama.py`` eager_attention_forward and its relatives (``habits.Eager``).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.rotary import is_joined
from vram_advisor.memory.tape import Value

OF_VALUES = frozenset({"own_dtype", "fp32_products", "biased_fp32", "sinks"})
"""Forms whose probabilities take the dtype of the values; the others take that of the queries."""


def eager(t: LayerTape, q: Value, k: Value, v: Value, a: Attention, h: Habits) -> tuple[Value, Value]:
    """Scores, mask, softmax, product with the values; the probabilities are returned too."""
    n = t.numerics
    entered = v.itemsize if h.eager in OF_VALUES else q.itemsize
    k = repeat(t, k, "key", q.width)
    v = repeat(t, v, "value", a.output_size)
    if h.eager == "fp32_products":
        q, k = t.cast(q, 4, "query in fp32"), t.cast(k, 4, "key in fp32")
    raw = product(t, multiplied(t, q, a, h), multiplied(t, k, a, h), a)
    masked = masked_scores(t, raw, a, h)
    if h.eager == "sinks":
        soft = softmax_with_sinks(t, masked, a)
    else:
        soft = softmax(t, masked, h)
    if h.eager == "in_place":
        t.drop(raw)
    if h.eager == "bare":
        entered = soft.itemsize
    probabilities = t.cast(soft, entered, "attention probabilities")
    if h.eager == "biased":
        t.drop(probabilities)
    else:
        t.drop(masked)
    if a.dropout:
        probabilities = t.dropout(probabilities, "attention probabilities")
    compute = n.autocast or entered
    weights = t.cast(probabilities, compute, "attention probabilities")
    values = multiplied(t, v, a, h)
    out = t.record(
        "attention output by head", [weights, values], v.rows, a.output_size, compute, saved=[weights, values]
    )
    merged = t.record("attention output", [out], v.rows, a.output_size, compute, passes_gradient=True)
    t.drop(k, v)
    if h.eager == "biased":
        t.drop(raw, masked)
    return merged, probabilities


def repeat(t: LayerTape, x: Value, label: str, width: int) -> Value:
    """``repeat_kv``: keys and values once per query head."""
    return x if x.width == width else t.record(f"{label} per query head", [x], x.rows, width, x.itemsize)


def multiplied(t: LayerTape, x: Value, a: Attention, h: Habits) -> Value:
    """An operand as a batch of matrices, one for each head: a copy where heads lie within tokens, in 16 bit."""
    n = t.numerics
    repeated = x.buffer.label.endswith("per query head")
    if n.autocast is not None:
        x = t.cast(x, n.autocast)
    by_head = is_joined(a, h) and not h.rotated_by_token and x.buffer.label.endswith("joined")
    if n.one_sequence or repeated or by_head or h.rotary == "halves":
        return x
    return t.record(f"{x.buffer.label} by head", [x], x.rows, x.width, x.itemsize, passes_gradient=True)


def product(t: LayerTape, q: Value, k: Value, a: Attention) -> Value:
    """Products of queries and keys."""
    return t.record("attention scores", [q, k], "Q", a.num_attention_heads, q.itemsize, saved=[q, k])


def masked_scores(t: LayerTape, raw: Value, a: Attention, h: Habits) -> Value:
    """Scaled scores with mask and bias."""
    heads = raw.width
    if h.eager == "in_place":
        scaled = t.record("attention scores scaled", [raw], "Q", heads, raw.itemsize, view=True, slices=True)
    elif h.eager == "biased":
        scaled = raw
    else:
        scaled = t.scale(raw, "scaled attention scores")
    if a.softcapping:
        small = t.scale(scaled, "attention scores / cap")
        bent = t.record("attention tanh", [small], "Q", heads, small.itemsize, save_output=True)
        scaled = t.scale(bent, "capped attention scores")
    if h.eager == "biased_fp32":
        biased = t.record("biased attention scores", [scaled], "Q", heads, 4, casts_gradient=True)
        return t.record("masked attention scores", [biased], "Q", heads, 4)
    # The mask has the dtype of the embeddings: an fp32 one turns the sum into fp32.
    wide = max(scaled.itemsize, t.numerics.weight)
    return t.record("masked attention scores", [scaled], "Q", heads, wide, casts_gradient=True)


def softmax(t: LayerTape, masked: Value, h: Habits) -> Value:
    """The softmax in fp32, or in the dtype of its input where autocast does not change that."""
    own = h.eager == "in_place" or (h.eager in ("own_dtype", "bare") and t.numerics.autocast is None)
    wide = masked if own else t.cast(masked, 4, "attention scores in fp32")
    label = "attention probabilities in fp32" if wide.itemsize == 4 else "softmax of attention scores"
    saved = [wide] if t.numerics.softmax_keeps_input else []
    return t.record(label, [wide], "Q", wide.width, wide.itemsize, saved=saved, save_output=True)


def softmax_with_sinks(t: LayerTape, masked: Value, a: Attention) -> Value:
    """One more column for the sinks; the largest score is taken off before the softmax."""
    heads, itemsize = masked.width, masked.itemsize
    joined = t.record("scores and sinks", [masked], "Q", heads, itemsize, passes_gradient=True)
    places = Amount("places of the largest scores", "T", heads, 8, "activation")
    work = [Amount("gradient of the largest scores", "Q", heads, itemsize, "workspace") for _ in range(2)]
    shifted = t.record(
        "scores less the largest", [joined], "Q", heads, itemsize,
        saved=[places], passes_gradient=True, backward_temporaries=work,
    )  # fmt: skip
    soft = t.record("softmax of attention scores", [shifted], "Q", heads, itemsize, save_output=True)
    scores = t.record("scores without sinks", [soft], "Q", heads, itemsize, view=True, slices=True)
    t.drop(shifted)
    return scores
