"""Multi-head latent attention without gradients: heads are unfolded from the latents of all tokens.

Source: transformers 5.23 ``models/deepseek_v3/modeling_deepseek_v3.py`` DeepseekV3Attention (the cache holds latents
and ``expand_kv`` unfolds them in every step), ``models/deepseek_v32`` (the indexer), traced.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm
from vram_advisor.memory.tape import Value


def latent_attention(t: LayerTape, x: Value, a: Attention) -> Value:
    """From the normed input to the output projection. x [T x hidden_size]."""
    heads, rope = a.num_attention_heads, a.qk_rope_head_dim or 0
    held: list[Value] = []
    if a.q_lora_rank:
        compressed = linear(t, x, "q_a_proj", a.q_lora_rank)
        q = linear(t, norm(t, compressed, "query latent norm", "rms"), "q_b_proj", a.query_size)
    else:
        q = linear(t, x, "q_proj", a.query_size)
    both = linear(t, x, "kv_a_proj_with_mqa", (a.kv_lora_rank or 0) + rope)
    latent, rotated = t.split(both, latent=a.kv_lora_rank or 0, rotated=rope)
    kept = norm(t, latent, "latent norm", "rms")
    turned = t.record("rotated part of queries", [q], q.rows, heads * rope, q.itemsize)
    key = t.record("rotated key", [rotated], q.rows, rope, q.itemsize)
    if a.index_n_heads:
        held.append(indexer(t, x, a))
    query = t.record("query", [q, turned], q.rows, a.query_size, q.itemsize)
    out = attend(t, query, kept, key, a)
    t.drop(q, turned, both, query, *held)
    result = linear(t, out, a.modules[3], x.width)
    t.drop(out, x)
    return result


def attend(t: LayerTape, query: Value, latent: Value, key: Value, a: Attention) -> Value:
    """Heads unfolded from the latents, and the attention over them."""
    wide, keys = unfolded(a)
    both = t.record("keys and values unfolded", [latent], query.rows, wide, query.itemsize)
    full = t.record("keys with their rotated part", [both, key], query.rows, keys, query.itemsize)
    if t.numerics.attention == "eager":
        heads = a.num_attention_heads
        raw = t.record("attention scores", [query, full], "Q", heads, query.itemsize)
        masked = t.record("masked attention scores", [t.scale(raw, "scaled scores")], "Q", heads, query.itemsize)
        soft = t.cast(t.cast(masked, 4, "attention scores in fp32"), query.itemsize, "attention probabilities")
        out = t.record("attention output", [soft, both], query.rows, a.output_size, query.itemsize)
        t.drop(masked)
    else:
        out = t.record("attention output", [query, full, both], query.rows, a.output_size, query.itemsize)
    t.drop(both, full)
    return out


def unfolded(a: Attention) -> tuple[int, int]:
    """Elements of one token that unfolding makes: keys with values, and keys with their rotated part."""
    heads = a.num_attention_heads
    return heads * ((a.qk_nope_head_dim or 0) + a.v_head_dim), heads * a.head_dim


def indexer(t: LayerTape, x: Value, a: Attention) -> Value:
    """Scores of sparse attention: for every query, the keys are copied and multiplied in fp32."""
    heads, width = a.index_n_heads or 0, a.index_head_dim or 0
    q = linear(t, x, "indexer.wq_b", heads * width)
    wide = t.cast(q, 4, "queries of the indexer in fp32")
    keys = Amount("keys of the indexer copied for every query", "Q", width, 4, "workspace")
    scores = t.record("scores of the indexer", [wide], "Q", heads, 4, temporaries=[keys])
    chosen = t.record("mask of the chosen tokens", [scores], "Q", 1, x.itemsize)
    t.drop(q)
    return chosen
