"""Softmax attention of queries, keys and values by the kernel that is used.

Sources: transformers ``integrations/sdpa_attention.py``, ``integrations/flash_attention.py``; flash-attn
``csrc/flash_attn/flash_api.cpp``; ATen ``native/transformers/cuda/sdp_utils.cpp`` and ``attention.cpp``.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention, ModelSpec
from vram_advisor.memory.eager import eager, repeat
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import Habits, habits
from vram_advisor.memory.math_attention import math
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.rotary import is_joined
from vram_advisor.memory.tape import Value


def is_masked(n: Numerics, a: Attention, h: Habits) -> bool:
    """Whether scaled_dot_product_attention is given a mask instead of being told that attention is causal."""
    return n.padded or (n.windowed and a.sliding_window is not None) or (n.sdpa and h.always_masked)


def kernel(n: Numerics, a: Attention, h: Habits) -> str:
    """flash, efficient, math or eager: what runs for the implementation that is asked for."""
    asked = n.attention
    if h.without_flash or asked == "eager":
        return "eager"
    if asked == "flash" and a.head_dim > 256 and n.fused_attention != "math":
        return "efficient"
    if not n.sdpa:
        return asked
    if h.without_sdpa or a.softcapping or a.sinks:
        return "eager"
    if asked == "flash" and h.fused == "copies" and a.num_key_value_heads == 1:
        # One key head is broadcast: no fused kernel takes it.
        return "math"
    if asked != "flash":
        return asked
    wide = (n.autocast or n.stream) == 4
    if n.fused_attention == "math" and not wide:
        return "math"
    if is_masked(n, a, h) or a.v_head_dim != a.head_dim:
        return "efficient"
    if wide or n.fused_attention == "efficient":
        # Flash attention takes 16 bit only, and memory-efficient attention no grouped heads (sdp_utils.cpp
        # check_batch_size_and_num_heads_dense<false>): those that are handed on as they are end in the fallback.
        return "math" if n.grouped_sdpa and a.num_key_value_heads != a.num_attention_heads else "efficient"
    return asked


def written_out(model: ModelSpec, n: Numerics) -> bool:
    """Whether a layer computes its scores as a product of matrices, by hand or by the fallback."""
    h = habits(model.architecture)
    return any(kernel(n, b.attention, h) in ("eager", "math") for b in model.blocks if b.attention)


def scores(t: LayerTape, q: Value, k: Value, v: Value, a: Attention, h: Habits) -> tuple[Value, Value | None]:
    """Softmax attention by the kernel that is used, and its probabilities where they exist.

    q, k, v [T x heads * head_dim].
    """
    n = t.numerics
    name = kernel(n, a, h)
    if name == "eager":
        return eager(t, q, k, v, a, h)
    compute = n.autocast or q.itemsize
    k = t.cast(k, compute)
    v = t.cast(v, compute)
    q = t.cast(q, compute)
    heads = a.num_attention_heads
    masked = is_masked(n, a, h)
    grouped = masked or n.repeats_kv or name == "efficient" or (name == "math" and not n.grouped_sdpa)
    if grouped and a.num_key_value_heads > 1:
        k = repeat(t, k, "key", q.width)
        v = repeat(t, v, "value", a.output_size)
    if name == "math":
        joined = is_joined(a, h) and not h.rotated_by_token
        by_head = joined or h.rotary == "halves"
        return math(t, q, k, v, a, by_head=by_head, masked=masked, grouped=h.fused != "copies"), None
    statistics = Amount("attention log-sum-exp", "T", heads, 4, "activation")
    work: list[Amount] = []
    saved: list[Value | Amount] = [q, k, v, statistics]
    if name == "flash" and not masked:
        work = flash_work(q, k, a)
    elif masked:
        saved.append(Amount("attention mask as numbers", "Q", 1, q.itemsize, "activation"))
    out = t.record(
        "attention output", [q, k, v], q.rows, a.output_size, compute,
        saved=saved, save_output=True, selective="attention", backward_temporaries=work,
    )  # fmt: skip
    if is_joined(a, h) and not h.rotated_by_token:
        # Joined heads lie one behind the other, and so does the result: tokens are brought together by a copy.
        out = t.record("attention output by token", [out], out.rows, out.width, compute, passes_gradient=True)
    return out, None


def flash_work(q: Value, k: Value, a: Attention) -> list[Amount]:
    """What the backward pass of flash attention allocates: fp32 sums for padded heads, keys and values for each head."""
    padded = -(-a.head_dim // 32) * 32 if a.head_dim <= 128 else -(-a.head_dim // 64) * 64
    heads = a.num_attention_heads
    work = [
        Amount("flash attention dq accumulator", "T128", heads * padded, 4, "workspace"),
        Amount("flash attention softmax sums", "T128", heads, 4, "workspace"),
    ]
    if k.width != q.width:
        work.append(Amount("flash attention dk and dv per query head", "T", 2 * q.width, q.itemsize, "workspace"))
    return work
