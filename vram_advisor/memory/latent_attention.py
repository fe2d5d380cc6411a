"""Multi-head latent attention (DeepSeek V2 and V3): keys and values grow out of one narrow latent per token.

Source: transformers ``models/deepseek_v2/modeling_deepseek_v2.py``, ``models/deepseek_v3/modeling_deepseek_v3.py``,
``integrations/flash_attention.py`` (values are padded to the width of queries).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.math_attention import math
from vram_advisor.memory.norms import norm
from vram_advisor.memory.rotary import halves, rotate_complex
from vram_advisor.memory.scores import flash_work, is_masked, kernel
from vram_advisor.memory.tape import Value


def latent_attention(t: LayerTape, x: Value, a: Attention, h: Habits) -> Value:
    """From the normed input to the output projection."""
    heads, rope, nope = a.num_attention_heads, a.qk_rope_head_dim or 0, a.qk_nope_head_dim or 0
    rank = a.kv_lora_rank or 0
    q = queries(t, x, a)
    q_plain, q_turned = t.split(q, plain=heads * nope, turned=heads * rope)
    narrow = linear(t, x, "kv_a_proj_with_mqa", rank + rope)
    latent, k_turned = t.split(narrow, latent=rank, turned=rope)
    normed = norm(t, latent, "latent norm", "rms")
    q_rotated, k_rotated = turn(t, q_turned, k_turned, h)
    query = t.record("query", [q_plain, q_rotated], "T", a.query_size, q.itemsize, passes_gradient=True)
    wide = linear(t, normed, "kv_b_proj", heads * (nope + a.v_head_dim))
    k_plain, value = t.split(wide, key=heads * nope, value=a.output_size)
    key = filled(t, k_plain, k_rotated, a)
    out = weighted_values(t, query, key, value, a, h)
    result = linear(t, out, "o_proj", x.width)
    t.drop(out, query, key, value, q, q_rotated, narrow, k_rotated, normed, wide, x)
    return result


def queries(t: LayerTape, x: Value, a: Attention) -> Value:
    """All heads of the queries, through a latent of their own where there is one."""
    if not a.q_lora_rank:
        return linear(t, x, "q_proj", a.query_size)
    latent = linear(t, x, "q_a_proj", a.q_lora_rank)
    return linear(t, norm(t, latent, "query latent norm", "rms"), "q_b_proj", a.query_size)


def turn(t: LayerTape, q: Value, k: Value, h: Habits) -> tuple[Value, Value]:
    """Positions for the rotated part of the queries and the one rotated key of a token."""
    if h.rotary == "complex":
        q32, k32 = t.cast(q, 4, "query in fp32"), t.cast(k, 4, "key in fp32")
        turned = (rotate_complex(t, q32, "query", q.itemsize), rotate_complex(t, k32, "key", k.itemsize))
        t.drop(q32, k32)
        return turned
    return halves(t, q, "query", t.numerics.stream), halves(t, k, "key", t.numerics.stream)


def filled(t: LayerTape, plain: Value, turned: Value, a: Attention) -> Value:
    """Keys: an empty tensor into which both parts are copied; each copy clones the gradient in the backward pass."""
    wide = Amount("gradient of the keys, copied", "T", a.query_size, plain.itemsize, "gradient")
    part = Amount(
        "gradient of the rotated keys of all heads", "T", a.query_size - plain.width, plain.itemsize, "gradient"
    )
    first = t.record("key", [plain], "T", a.query_size, plain.itemsize, backward_temporaries=[wide])
    return t.record(
        "key", [first, turned], "T", a.query_size, plain.itemsize,
        view=True, slices=True, backward_temporaries=[part, part],
    )  # fmt: skip


def weighted_values(t: LayerTape, q: Value, k: Value, v: Value, a: Attention, h: Habits) -> Value:
    """Softmax attention of heads whose values are narrower than their keys."""
    n = t.numerics
    heads = a.num_attention_heads
    compute = n.autocast or q.itemsize
    q, k, v = t.cast(q, compute), t.cast(k, compute), t.cast(v, compute)
    name = kernel(n, a, h)
    if name == "math":
        return math(t, q, k, v, a, by_head=True, masked=is_masked(n, a, h), grouped=False)
    if name == "eager":
        raw = t.record("attention scores", [q, k], "Q", heads, compute, saved=[q, k])
        wide = t.cast(t.scale(raw, "scaled attention scores"), 4, "attention scores in fp32")
        soft = t.record("attention probabilities in fp32", [wide], "Q", heads, 4, save_output=True)
        weights = t.cast(soft, compute, "attention probabilities")
        out = t.record("attention output by head", [weights, v], "T", a.output_size, compute, saved=[weights, v])
        return t.record("attention output", [out], "T", a.output_size, compute, passes_gradient=True)
    statistics = Amount("attention log-sum-exp", "T", heads, 4, "activation")
    padded = name == "flash" and a.v_head_dim != a.head_dim
    if padded:
        v = t.record("padded value", [v], "T", a.query_size, compute)
    out = t.record(
        "attention output", [q, k, v], "T", v.width, compute,
        saved=[q, k, v, statistics], save_output=True, selective="attention",
        backward_temporaries=flash_work(q, k, a) if name == "flash" else [],
    )  # fmt: skip
    if padded:
        out = t.record(
            "attention output of the value's width", [out], "T", a.output_size, compute, view=True, slices=True
        )
    if name == "flash":
        out = t.record("attention output by token", [out], "T", a.output_size, compute, passes_gradient=True)
    return out
