"""Attention over the cache: grouped queries and gated outputs.

Source: llama.cpp v0.5.0 ``src/llama-graph.cpp`` (build_qkv, build_attn, build_attn_mha), ``src/llama-kv-cache.cpp``
(get_k, get_v, cpy_k, cpy_v), ``src/models/qwen3next.cpp``.
"""

from __future__ import annotations

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.model import Attention
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.caches import keeps_window, key_width
from vram_advisor.memory.llama_cpp.node import Node


def row(type_name: str, elements: int) -> int:
    """Bytes of so many elements in a row [B]."""
    return GGML_TYPES[type_name].row_bytes(elements)


def project(b: Builder, a: Attention, x: Node, layer: int) -> tuple[Node, Node, Node]:
    """Queries, keys and values as heads."""
    g, tokens = b.graph, b.tokens
    shapes = (
        (a.head_dim, a.num_attention_heads),
        (a.head_dim, a.num_key_value_heads),
        (a.v_head_dim, a.num_key_value_heads),
    )
    if fused(b, a, layer):
        width = a.query_size + a.key_size + a.value_size
        qkv = b.multiply("attn_qkv", x, width, layer, a.qkv_bias)
        q, k, v = (g.view(qkv, (*shape, tokens), (row("F32", shape[0]), qkv.nb[1])) for shape in shapes)
        return q, k, v
    names = (("attn_q", a.query_size), ("attn_k", a.key_size), ("attn_v", a.value_size))
    q, k, v = (b.multiply(name, x, width, layer, a.qkv_bias) for name, width in names)
    if a.qk_norm == "full":
        q, k = (b.norm(y, f"{name}_norm", layer, "rms") for y, name in ((q, "attn_q"), (k, "attn_k")))
    q, k, v = (g.reshape(y, *shape, tokens) for y, shape in zip((q, k, v), shapes, strict=True))
    return q, k, v


def fused(b: Builder, a: Attention, layer: int) -> bool:
    """Queries, keys and values are one matrix in the file."""
    if b.stored:
        return f"blk.{layer}.attn_qkv.weight" in b.stored
    return a.modules[0] == a.modules[1]


def rotate_blocks(b: Builder, x: Node, rotation: Node | None) -> Node:
    """A Hadamard rotation of each head before it is quantised, or back."""
    if rotation is None:
        return x
    g, n = b.graph, rotation.ne[0]
    rows = x.numel // n
    flat = g.reshape(x, n, rows) if x.is_contiguous else g.cont(x.label, x, n, rows)
    return g.reshape(g.multiply(x.label, rotation, flat), *x.ne)


def grouped(b: Builder, a: Attention, x: Node, layer: int) -> Node:
    """Grouped-query attention."""
    g, habits = b.graph, b.habits
    if b.model.architecture in ("gemma3n_text", "gemma4_text"):
        return weightless_values(b, a, x, layer)
    q, k, v = project(b, a, x, layer)
    turned = turns(b, a, layer)
    if a.qk_norm == "head" and habits.norm_after_rope:
        q, k = b.rope(q, layer), b.rope(k, layer)
        k = b.norm(k, "attn_k_norm", layer, "rms")
        q = b.norm(q, "attn_q_norm", layer, "rms")
    else:
        if a.qk_norm == "head":
            q, k = b.norm(q, "attn_q_norm", layer, "rms"), b.norm(k, "attn_k_norm", layer, "rms")
        if turned:
            q, k = b.rope(q, layer), b.rope(k, layer)
            if a.qk_norm == "weightless":
                q, k = g.like("RMS_NORM", q.label, q), g.like("RMS_NORM", k.label, k)
        elif b.query_scale is not None:
            q = g.like("MUL", q.label, q, b.query_scale)
    if habits.scales_query:
        q = g.like("SCALE", q.label, q)
    return attend(b, a, q, k, v, layer)


def weightless_values(b: Builder, a: Attention, x: Node, layer: int) -> Node:
    """Attention whose values are normed too, and whose last layers read the cache of earlier ones (Gemma 3n, 4)."""
    g, tokens = b.graph, b.tokens
    size, kv_heads = a.head_dim, a.num_key_value_heads

    def heads(name: str, count: int) -> Node:
        return g.reshape(b.multiply(name, x, size * count, layer), size, count, tokens)

    if b.model.architecture == "gemma3n_text" and not a.kv_shared:
        q, k, v = project(b, a, x, layer)
        q, k = b.norm(q, "attn_q_norm", layer, "rms"), b.norm(k, "attn_k_norm", layer, "rms")
        v = g.like("RMS_NORM", "values", v)
        return attend(b, a, b.rope(q, layer), b.rope(k, layer), v, layer)
    q = b.rope(b.norm(heads("attn_q", a.num_attention_heads), "attn_q_norm", layer, "rms"), layer)
    if a.kv_shared:
        return attend(b, a, q, None, None, layer, source=shared_source(b, a))
    raw = b.multiply("attn_k", x, a.key_size, layer)
    v = raw if a.k_is_v else b.multiply("attn_v", x, a.value_size, layer)
    k, v = g.reshape(raw, size, kv_heads, tokens), g.reshape(v, size, kv_heads, tokens)
    k = b.norm(k, "attn_k_norm", layer, "rms")
    v = g.like("RMS_NORM", "values", v)
    return attend(b, a, q, b.rope(k, layer), v, layer)


def shared_source(b: Builder, a: Attention) -> int:
    """The layer whose cache a layer without one reads: the last of its kind that has one."""
    kinds = [b.model.blocks[kind].attention for kind in b.model.layer_kinds]
    own = sum(1 for other in kinds if other is not None and not other.kv_shared)
    return own - (2 if keeps_window(a, b.habits.windows) else 1)


def turns(b: Builder, a: Attention, layer: int) -> bool:
    """Queries and keys are rotated by position."""
    habits = b.habits
    if habits.positions != "rotated" or not a.rotary_dim:
        return False
    if habits.unrotated == "full":
        return a.sliding_window is not None or not b.caches.window_cells
    return habits.unrotated == "none" or (layer + 1) % 4 != 0


def attend(
    b: Builder,
    a: Attention,
    q: Node,
    k: Node | None,
    v: Node | None,
    layer: int,
    output: bool = True,
    source: int | None = None,
) -> Node:
    """Store keys and values, attend, project.

    Args:
        k, v: None where the layer reads the cache of layer ``source``.
        output: the output projection follows.
    """
    g = b.graph
    window = keeps_window(a, b.habits.windows)
    given = b.inputs_of(window)
    q = rotate_blocks(b, q, given.key_rotation)
    if k is not None and v is not None:
        k, v = rotate_blocks(b, k, given.key_rotation), rotate_blocks(b, v, given.value_rotation)
        # Where layers have caches of two sizes the keys are computed first, else the values.
        for y in (q, k, v) if b.caches.window_cells else (q, v, k):
            g.expand(y)
        store_keys(b, k, layer, given.key_places)
        store_values(b, a, v, layer, given.value_places)
    else:
        g.expand(q)
    owner = layer if source is None else source
    result = scores(b, a, q, read_keys(b, a, owner), read_values(b, a, owner), given.mask, layer)
    result = rotate_blocks(b, result, given.value_rotation)
    if not output:
        return result
    if b.habits.inner_norms:
        result = b.norm(result, "attn_sub_norm", layer, "rms")
    return b.multiply("attn_output", result, b.model.hidden_size, layer, a.output_bias)


def store_keys(b: Builder, k: Node, layer: int, places: Node) -> None:
    """Write keys into the cache."""
    g, cache = b.graph, b.cache(layer, "keys")
    flat = g.view(k, (k.ne[0] * k.ne[1], k.ne[2]), (k.nb[2],))
    if cache.ne[2] > 1:
        cache = g.reshape(cache, cache.ne[0], cache.ne[1] * cache.ne[2])
    g.expand(g.into("SET_ROWS", cache, flat, places, cache))


def store_values(b: Builder, a: Attention, v: Node, layer: int, places: Node) -> None:
    """Write values into the cache, element by element where it is transposed."""
    g, cache = b.graph, b.cache(layer, "values")
    width, tokens = v.ne[0] * v.ne[1], v.ne[2]
    if not b.caches.transposed:
        flat = g.view(v, (width, tokens), (v.nb[2],))
        if cache.ne[2] > 1:
            cache = g.reshape(cache, cache.ne[0], cache.ne[1] * cache.ne[2])
        g.expand(g.into("SET_ROWS", cache, flat, places, cache))
        return
    flat = g.reshape(v, width, tokens) if row("F32", width) == v.nb[2] else g.cont(v.label, v, width, tokens)
    if width < cache.ne[0]:
        flat = g.op("PAD", v.label, (cache.ne[0], tokens, 1, 1), flat)
    cells = g.reshape(cache, 1, cache.numel)
    g.expand(g.into("SET_ROWS", cells, g.reshape(flat, 1, flat.numel), places, cells))


def read_keys(b: Builder, a: Attention, layer: int) -> Node:
    """The keys of all cells, as heads."""
    cache = b.cache(layer, "keys")
    size, heads = (key_width(a), 1) if a.kind == "mla" else (a.head_dim, a.num_key_value_heads)
    t, width, cells = cache.type, cache.ne[0], cache.ne[1]
    return b.graph.view(cache, (size, heads, cells, cache.ne[2]), (row(t, size), row(t, width), row(t, width * cells)))


def read_values(b: Builder, a: Attention, layer: int) -> Node:
    """The values of all cells, as heads."""
    cache = b.cache(layer, "values")
    size, heads = a.v_head_dim, a.num_key_value_heads
    t, width, cells = cache.type, cache.ne[0], cache.ne[1]
    if not b.caches.transposed:
        return b.graph.view(
            cache, (size, heads, cells, cache.ne[2]), (row(t, size), row(t, width), row(t, width * cells))
        )
    return b.graph.view(
        cache, (cells, heads, size, cache.ne[2]), (row(t, cells * size), row(t, cells), row(t, cells * width))
    )


def scores(
    b: Builder, a: Attention, q: Node, k: Node, v: Node, mask: Node, layer: int, decompress: Node | None = None
) -> Node:
    """Softmax attention by the flash kernel, or written out."""
    g = b.graph
    transposed = v.nb[1] > v.nb[2]
    streams = k.ne[3]
    q = g.view(q, (q.ne[0], q.ne[1], q.ne[2] // streams, streams), (q.nb[1], q.nb[2], q.nb[3] // streams))
    q, k, v = (g.permute(y, 0, 2, 1, 3) for y in (q, k, v))
    sinks = (b.weight("attn_sinks.weight", a.num_attention_heads, layer=layer),) if a.sinks else ()
    if b.flash:
        if transposed:
            v = g.transpose(v)
        result = g.op("FLASH_ATTN_EXT", "attention", (v.ne[0], q.ne[2], q.ne[1], q.ne[3]), q, k, v, mask, *sinks)
        if decompress is not None:
            result = g.multiply("attention", decompress, g.permute(result, 0, 2, 1, 3))
            result = g.cont("attention", g.permute(result, 0, 2, 1, 3))
        result = g.reshape(result, result.ne[0] * result.ne[1], result.ne[2] * result.ne[3])
    else:
        kq = g.multiply("attention scores", k, q)
        if a.softcapping:
            for op in ("SCALE", "UNARY", "SCALE"):
                kq = g.like(op, kq.label, kq)
        kq = g.like("SOFT_MAX", kq.label, kq, mask, *sinks)
        if not transposed:
            v = g.cont("values", g.transpose(v))
        kqv = g.multiply("attention", v, kq)
        if decompress is not None:
            kqv = g.multiply("attention", decompress, kqv)
        result = g.permute(kqv, 0, 2, 1, 3)
        result = g.cont("attention", result, result.ne[0] * result.ne[1], result.ne[2] * result.ne[3])
        if not b.options.kv_offload:
            g.pins[result] = b.options.num_gpus
    g.expand(result)
    return result


def gated(b: Builder, a: Attention, x: Node, layer: int) -> Node:
    """Attention whose query projection also gives a gate for its output (Qwen3-Next, Qwen3.5)."""
    g, tokens, size, heads = b.graph, b.tokens, a.head_dim, a.num_attention_heads
    both = b.multiply("attn_q", x, 2 * a.query_size, layer)
    k, v = b.multiply("attn_k", x, a.key_size, layer), b.multiply("attn_v", x, a.value_size, layer)
    if b.habits.repeats_heads:
        both = g.reshape(both, 2 * size, heads, tokens, 1)
        strides = both.nb[1:]
    else:
        strides = (8 * size, 8 * size * heads, 8 * size * heads * tokens)
    q, gate = (g.view(both, (size, heads, tokens, 1), strides) for _ in range(2))
    k, v = (g.reshape(y, size, a.num_key_value_heads, tokens) for y in (k, v))
    q = b.norm(q, "attn_q_norm", layer, "rms")
    k = b.norm(k, "attn_k_norm", layer, "rms")
    result = attend(b, a, b.rope(q, layer), b.rope(k, layer), v, layer, output=False)
    gate = g.unary("gate", g.cont("gate", gate, size * heads, tokens))
    return b.multiply("attn_output", g.like("MUL", "attention", result, gate), b.model.hidden_size, layer)
