"""Softmax attention from the normed input to the output projection.

Sources: transformers ``models/llama/modeling_llama.py``, ``integrations/sdpa_attention.py``; flash-attn
``csrc/flash_attn/flash_api.cpp``; ATen ``native/transformers``.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention, NormKind
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm
from vram_advisor.memory.tape import Value


def rotate(t: LayerTape, x: Value, label: str, itemsize: int) -> Value:
    """Rotary embedding: x * cos + rotate_half(x) * sin, with cos and sin of ``itemsize``."""
    wide = max(x.itemsize, itemsize)
    first = t.record(f"{label} * cos", [x], x.rows, x.width, wide)
    negative = Amount(f"{label} negated half", x.rows, x.width // 2, x.itemsize, "workspace")
    slices = Amount(f"{label} slice gradient", x.rows, x.width, x.itemsize, "workspace")
    half = t.record(
        f"{label} rotated half", [x], x.rows, x.width, x.itemsize, temporaries=[negative], backward_temporaries=[slices]
    )
    second = t.record(f"{label} * sin", [half], x.rows, x.width, wide)
    return t.record(f"{label} rotated", [first, second], x.rows, x.width, wide, passes_gradient=True)


def attention(t: LayerTape, x: Value, a: Attention) -> Value:
    """Grouped-query attention from the normed input to the output projection."""
    n = t.numerics
    names = a.modules
    if names[0] == names[1]:
        fused = linear(t, x, names[0], a.query_size + a.key_size + a.value_size)
        q = part(t, fused, "query", a.query_size)
        k = part(t, fused, "key", a.key_size)
        v = part(t, fused, "value", a.value_size)
    else:
        q = linear(t, x, names[0], a.query_size)
        if a.qk_norm != "none":
            q = qk_norm(t, q, "query", a, a.num_attention_heads)
        k = linear(t, x, names[1], a.key_size)
        if a.qk_norm != "none":
            k = qk_norm(t, k, "key", a, a.num_key_value_heads)
        v = linear(t, x, names[2], a.value_size)
    if a.rotary_dim:
        before = (q, k)
        q = rotate(t, q, "query", n.stream)
        k = rotate(t, k, "key", n.stream)
        t.drop(*before)
    out = scores(t, q, k, v, a)
    result = linear(t, out, names[3], x.width)
    t.drop(out, q, k, v, x)
    return result


def qk_norm(t: LayerTape, x: Value, label: str, a: Attention, heads: int) -> Value:
    """A norm of each head of queries or keys."""
    width = a.head_dim if a.qk_norm == "head" else x.width
    groups = heads if a.qk_norm == "head" else 1
    kind: NormKind = "none_parametric" if a.qk_norm == "weightless" else "rms"
    return norm(t, x, f"{label} norm", kind, width, groups)


def part(t: LayerTape, fused: Value, label: str, width: int) -> Value:
    """A slice of a fused projection: a view; its gradient is written into zeros of the full width."""
    return Value(fused.buffer, fused.rows, width, fused.itemsize, fused.needs_grad) if not fused.needs_grad else slice(t, 
        fused, label, width
    )  # fmt: skip


def slice(t: LayerTape, fused: Value, label: str, width: int) -> Value:
    """Record the slice so that gradients flow."""
    return t.record(label, [fused], fused.rows, width, fused.itemsize, view=True, slices=True)


def scores(t: LayerTape, q: Value, k: Value, v: Value, a: Attention) -> Value:
    """Softmax attention by the kernel that is used. q, k, v [T x heads * head_dim]."""
    n = t.numerics
    if n.attention == "eager":
        return eager(t, q, k, v, a)
    compute = n.autocast or q.itemsize
    k = t.cast(k, compute)
    v = t.cast(v, compute)
    q = t.cast(q, compute)
    heads = a.num_attention_heads
    if n.padded or n.repeats_kv or n.attention in ("efficient", "math"):
        k = repeat(t, k, "key", q.width, a)
        v = repeat(t, v, "value", a.output_size, a)
    if n.attention == "math":
        return math(t, q, k, v, a)
    statistics = Amount("attention log-sum-exp", "T", heads, 4, "activation")
    padded = -(-a.head_dim // 32) * 32 if a.head_dim <= 128 else -(-a.head_dim // 64) * 64
    work: list[Amount] = []
    saved: list[Value | Amount] = [q, k, v, statistics]
    if n.attention == "flash" and not n.padded:
        work = [Amount("flash attention dq accumulator", "T128", heads * padded, 4, "workspace"),
                Amount("flash attention softmax sums", "T128", heads, 4, "workspace")]  # fmt: skip
        if a.num_key_value_heads != heads:
            work.append(Amount("flash attention dk and dv per query head", "T", 2 * q.width, q.itemsize, "workspace"))
    elif n.padded:
        saved.append(Amount("attention mask as numbers", "Q", 1, q.itemsize, "activation"))
    return t.record(
        "attention output",
        [q, k, v],
        q.rows,
        a.output_size,
        compute,
        saved=saved,
        save_output=True,
        selective="attention",
        backward_temporaries=work,
    )


def repeat(t: LayerTape, x: Value, label: str, width: int, a: Attention) -> Value:
    """``repeat_kv``: keys and values once per query head."""
    if a.num_key_value_heads == a.num_attention_heads:
        return x
    return t.record(f"{label} per query head", [x], x.rows, width, x.itemsize)


def math(t: LayerTape, q: Value, k: Value, v: Value, a: Attention) -> Value:
    """The fallback of scaled_dot_product_attention: fp32 throughout (ATen native/transformers/attention.cpp)."""
    heads, e = a.num_attention_heads, q.itemsize
    q, k, v = t.cast(q, 4), t.cast(k, 4), t.cast(v, 4)
    q, k = t.scale(q, "scaled query"), t.scale(k, "scaled key")
    raw = t.record("attention scores", [q, k], "Q", heads, 4, saved=[q, k])
    soft = t.record("attention probabilities", [raw], "Q", heads, 4, save_output=True)
    out = t.record("attention output in fp32", [soft, v], q.rows, a.output_size, 4, saved=[soft, v])
    return t.cast(out, e, "attention output")


def eager(t: LayerTape, q: Value, k: Value, v: Value, a: Attention) -> Value:
    """Attention written out: scores [micro batch x heads x length x length]."""
    n = t.numerics
    heads = a.num_attention_heads
    k = repeat(t, k, "key", q.width, a)
    v = repeat(t, v, "value", a.output_size, a)
    if n.autocast is not None:
        q, k, v = t.cast(q, n.autocast), t.cast(k, n.autocast), t.cast(v, n.autocast)
    e = q.itemsize
    raw = t.record("attention scores", [q, k], "Q", heads, e, saved=[q, k])
    scaled = t.scale(raw, "scaled attention scores")
    if a.softcapping:
        small = t.scale(scaled, "attention scores / cap")
        bent = t.record("attention tanh", [small], "Q", heads, e, save_output=True)
        scaled = t.scale(bent, "capped attention scores")
    masked = t.record("masked attention scores", [scaled], "Q", heads, e, passes_gradient=True)
    wide = t.cast(masked, 4, "attention scores in fp32")
    soft = t.record("attention probabilities in fp32", [wide], "Q", heads, 4, save_output=True)
    probabilities = t.cast(soft, e, "attention probabilities")
    out = t.record("attention output by head", [probabilities, v], q.rows, a.output_size, e, saved=[probabilities, v])
    merged = t.record("attention output", [out], q.rows, a.output_size, e, passes_gradient=True)
    t.drop(masked, probabilities, k, v)
    return merged
