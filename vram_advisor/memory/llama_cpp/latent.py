"""Multi-head latent attention: the cache holds latents, from which keys and values are never written out.

Source: llama.cpp v0.5.0 ``src/models/deepseek2.cpp``.
"""

from __future__ import annotations

from vram_advisor.domain.model import Attention
from vram_advisor.memory.llama_cpp.attention import read_keys, row, scores, store_keys
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.node import Node


def latent(b: Builder, a: Attention, x: Node, layer: int) -> Node:
    """Multi-head latent attention with the key projection absorbed into the queries."""
    g, tokens, heads = b.graph, b.tokens, a.num_attention_heads
    rank, turned, plain = a.kv_lora_rank or 0, a.qk_rope_head_dim or 0, a.qk_nope_head_dim or 0
    if a.q_lora_rank:
        down = b.norm(b.multiply("attn_q_a", x, a.q_lora_rank, layer), "attn_q_a_norm", layer)
        q = b.multiply("attn_q_b", down, a.query_size, layer)
    else:
        q = b.multiply("attn_q", x, a.query_size, layer)
    q = g.reshape(q, a.head_dim, heads, tokens)
    both = b.multiply("attn_kv_a_mqa", x, rank + turned, layer, label="latents")
    width = row("F32", rank + turned)
    kv = g.view(both, (rank, tokens), (width,))
    k_pe = b.rope(g.view(both, (turned, 1, tokens), (width, width)), layer)
    kv = b.norm(kv, "attn_kv_a_norm", layer)
    q_nope = g.view(q, (plain, heads, tokens), q.nb[1:3])
    q_pe = b.rope(g.view(q, (turned, heads, tokens), q.nb[1:3]), layer)
    key_b = b.weight("attn_k_b.weight", plain, rank, heads, layer=layer, itemtype="F16")
    absorbed = g.multiply("absorbed queries", key_b, g.permute(q_nope, 0, 2, 1, 3))
    query = g.concat("queries", g.permute(absorbed, 0, 2, 1, 3), q_pe, 0)
    kv = g.reshape(kv, rank, 1, tokens)
    key = g.concat("latents", kv, k_pe, 0)
    given = b.inputs_of(False)
    for y in (query, kv, key):
        g.expand(y)
    store_keys(b, key, layer, given.key_places)
    k = read_keys(b, a, layer)
    v = g.view(k, (rank, k.ne[1], k.ne[2], k.ne[3]), k.nb[1:])
    value_b = b.weight("attn_v_b.weight", rank, a.v_head_dim, heads, layer=layer, itemtype="F16")
    result = scores(b, a, query, k, v, given.mask, layer, value_b)
    return b.multiply("attn_output", result, b.model.hidden_size, layer)
