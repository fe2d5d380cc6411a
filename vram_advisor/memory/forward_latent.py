"""Sparse latent attention without gradients: an indexer scores all pairs of tokens, then heads attend to some.

Source: transformers 5.23 ``models/deepseek_v32/modeling_deepseek_v32.py`` DeepseekV32Indexer, ``models/glm_moe_dsa``,
traced.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm
from vram_advisor.memory.tape import Value


def sparse_attention(t: LayerTape, x: Value, a: Attention, several: bool) -> Value:
    """From the normed input to the output projection. x [T x hidden_size]; ``several``: more than one sequence."""
    heads, rope = a.num_attention_heads, a.qk_rope_head_dim or 0
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
    query = t.record("query", [q, turned], q.rows, a.query_size, q.itemsize)
    wide, keys = unfolded(a)
    unfold = t.record("keys and values unfolded", [kept], q.rows, wide, q.itemsize)
    full = t.record("keys with their rotated part", [unfold, key], q.rows, keys, q.itemsize)
    chosen = indexer(t, x, a, several)
    out = attend(t, query, full, unfold, a)
    t.drop(q, turned, both, query, unfold, full, chosen)
    result = linear(t, out, a.modules[3], x.width)
    t.drop(out, x)
    return result


def attend(t: LayerTape, query: Value, key: Value, value: Value, a: Attention) -> Value:
    """Attention over unfolded heads: one kernel, or written out."""
    item, heads = query.itemsize, a.num_attention_heads
    if t.numerics.attention != "eager":
        return t.record("attention output", [query, key, value], query.rows, a.output_size, item)
    raw = t.record("attention scores", [query, key], "Q", heads, item)
    masked = t.record("masked attention scores", [t.scale(raw, "scaled attention scores")], "Q", heads, item)
    soft = t.cast(t.cast(masked, 4, "attention scores in fp32"), item, "attention probabilities")
    out = t.record("attention output", [soft, value], query.rows, a.output_size, item)
    t.drop(masked)
    return out


def unfolded(a: Attention) -> tuple[int, int]:
    """Elements of one token that unfolding makes: keys with values, and keys with their rotated part."""
    heads = a.num_attention_heads
    return heads * ((a.qk_nope_head_dim or 0) + a.v_head_dim), heads * a.head_dim


def indexer(t: LayerTape, x: Value, a: Attention, several: bool) -> Value:
    """Scores of sparse attention in fp32, for every head of the indexer and every pair of tokens."""
    heads, width = a.index_n_heads or 0, a.index_head_dim or 0
    q = linear(t, x, "indexer.wq_b", heads * width)
    wide = t.cast(q, 4, "queries of the indexer in fp32")
    # The batched product copies the keys once per query where there is more than one sequence.
    keys = Amount("keys of the indexer copied for every query", "Q", width, 4, "workspace")
    raw = t.record("scores of the indexer", [wide], "Q", heads, 4, temporaries=[keys] if several else [])
    scaled = t.record("scaled scores of the indexer", [raw], "Q", heads, 4)
    chosen = t.record("mask of the chosen tokens", [scaled], "Q", 1, x.itemsize)
    t.drop(q)
    return chosen
