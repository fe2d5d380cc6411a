"""The fallback of scaled_dot_product_attention: scores written out by ATen, in fp32 throughout.

Source: ATen ``native/transformers/attention.cpp`` _scaled_dot_product_attention_math, _safe_softmax. Its frame holds
what it has made until it returns.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.eager import repeat
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def math(
    t: LayerTape, q: Value, k: Value, v: Value, a: Attention, *, by_head: bool, masked: bool, grouped: bool
) -> Value:
    """Softmax attention of queries, keys and values, which may still be those of the groups [T x heads * head_dim].

    Args:
        t: what is written.
        q, k, v: in the dtype of the result.
        a: their heads.
        by_head: queries and keys lie one head behind the other.
        masked: a mask is given; otherwise a causal one is made.
        grouped: it is told that heads are grouped; otherwise a single key head is stretched by the product.
    """
    heads, itemsize = a.num_attention_heads, q.itemsize
    repeated = k.width == a.query_size > a.key_size
    q32, k32, v32 = t.cast(q, 4), t.cast(k, 4), t.cast(v, 4)
    scaled = t.scale(q32, "scaled query")
    mask = mask_as_numbers(t, itemsize, masked)
    keys, values = k32, v32
    if grouped:
        keys, values = repeat(t, k32, "key", a.query_size), repeat(t, v32, "value", a.output_size)
    repeated = repeated or keys is not k32
    query = heads_apart(t, scaled, a.query_size, by_head)
    key = heads_apart(t, t.scale(keys, "scaled key"), a.query_size, by_head or repeated)
    raw = t.record("attention scores", [query, key], "Q", heads, 4, saved=[query, key])
    # Rows without a key are zeroed: which scores are masked is found out first.
    found = [Amount("masked scores", "Q", heads, 1, "workspace")]
    soft = t.record("attention probabilities", [raw], "Q", heads, 4, save_output=True, temporaries=found)
    inner = heads_apart(t, values, a.output_size, repeated)
    out = t.record("attention output in fp32", [soft, inner], q.rows, a.output_size, 4, saved=[soft, inner])
    narrow = t.cast(out, itemsize, "attention output by head")
    if itemsize != 4:
        # The probabilities are returned too, and nobody takes them.
        beside = Amount("probabilities in 16 bit", "Q", heads, itemsize, "workspace")
        t.record("attention probabilities returned", [soft], "one", 0, 4, temporaries=[beside], differentiable=False)
    t.drop(q32, k32, v32, scaled, mask, keys, values, soft, out)
    result = t.record("attention output", [narrow], q.rows, a.output_size, itemsize, passes_gradient=True)
    t.drop(k, v)
    return result


def mask_as_numbers(t: LayerTape, itemsize: int, masked: bool) -> Value:
    """What is added to the scores: a mask that was given in the dtype of the query, a causal one in fp32."""
    rows = "Q" if t.numerics.padded else "ss"
    return t.record("attention mask as numbers", [], rows, 1, itemsize if masked else 4, differentiable=False)


def heads_apart(t: LayerTape, x: Value, width: int, by_head: bool) -> Value:
    """An operand of a batch of products, one for each head and sequence: a copy where heads lie within tokens, which
    stretches a single key head."""
    if by_head or t.numerics.one_sequence:
        return x
    same = x.width == width
    return t.record(f"{x.buffer.label} by head", [x], x.rows, width, x.itemsize, passes_gradient=same)
