"""The graph of a batch: embedding, layers, output.

Source: llama.cpp v0.5.0 ``src/models``.
"""

from __future__ import annotations

from vram_advisor.domain.model import Block
from vram_advisor.memory.llama_cpp.attention import gated, grouped, latent
from vram_advisor.memory.llama_cpp.builder import Builder, attention_inputs
from vram_advisor.memory.llama_cpp.feed_forward import dense, mixture
from vram_advisor.memory.llama_cpp.node import HOST, Node
from vram_advisor.memory.llama_cpp.states import delta_net, mamba2, short_convolution
from vram_advisor.units.errors import NotModelled


def record(b: Builder) -> None:
    """Write the whole graph."""
    g, model, habits = b.graph, b.model, b.habits
    x = embedding(b)
    inputs(b)
    out_ids = g.input("rows of logits", "I32", b.sizes.n_outputs)
    last = model.num_hidden_layers - 1
    for layer, kind in enumerate(model.layer_kinds):
        rows = out_ids if layer == last and habits.rows == "layer" else None
        x = block(b, model.blocks[kind], x, layer, rows)
    if habits.rows == "end":
        x.is_output = True
        x = g.rows("chosen rows", x, out_ids)
    x = b.norm(x, "output_norm", None, model.final_norm)
    if habits.rows == "normed":
        x.is_output = True
        x = g.rows("chosen rows", x, out_ids)
    x.is_output = True
    logits = b.multiply("output", x, model.vocab_size, None, model.head_bias, "logits")
    if habits.logits == "scaled":
        logits = g.like("SCALE", "logits", logits)
    elif habits.logits == "capped":
        for op in ("SCALE", "UNARY", "SCALE"):
            logits = g.like(op, "logits", logits)
    logits.is_output = True
    g.expand(logits)


def embedding(b: Builder) -> Node:
    """Rows of the token embedding, which stays on the host."""
    g, hidden = b.graph, b.model.hidden_size
    tokens = g.input("token ids", "I32", b.tokens)
    given = g.input("embeddings", "F32", hidden, b.tokens)
    table = b.weight("token_embd.weight", hidden, b.model.vocab_size, itemtype="F16")
    table.place = HOST
    x = g.rows("embeddings", table, tokens)
    g.expand(x)
    g.expand(given)
    return g.like("SCALE", "embeddings", x) if b.habits.scales_embedding else x


def inputs(b: Builder) -> None:
    """Positions, masks, slots."""
    g = b.graph
    b.positions = g.input("positions", "I32", b.tokens * b.habits.positions_per_token)
    b.attention_inputs = {window: attention_inputs(b, window) for window in (False, True)}
    if any(block.state for block in b.model.blocks):
        slots = g.input("slots", "I32", b.sizes.n_seqs)
        b.state_rows = (g.view(slots, (b.sizes.n_seqs,)), g.view(slots, (0,)))


def block(b: Builder, part: Block, x: Node, layer: int, rows: Node | None) -> Node:
    """One layer; ``rows``: the rows that are picked before its feed-forward part."""
    g, habits = b.graph, b.habits
    before = x
    if habits.norms != "after":
        x = b.norm(x, "attn_norm", layer, part.norm)
    if habits.norm_first:
        g.expand(x)
    x = mixer(b, part, x, layer)
    if rows is not None:
        x, before = g.rows("chosen rows", x, rows), g.rows("chosen rows", before, rows)
    if habits.norms in ("around", "after"):
        x = b.norm(x, "post_attention_norm", layer, part.norm)
    middle = add(b, x, before, habits.stream_first == "always")
    if part.mlp is None and part.experts is None:
        return middle
    x = middle
    if habits.norms != "after":
        x = b.norm(x, "ffn_norm", layer, part.norm)
    x = dense(b, part.mlp, x, layer) if part.mlp is not None else mixture(b, part.experts, x, layer)  # type: ignore[arg-type]
    if habits.norms in ("around", "after"):
        x = b.norm(x, "post_ffw_norm", layer, part.norm, pinned=False)
    return add(b, x, middle, habits.stream_first != "never")


def add(b: Builder, x: Node, stream: Node, stream_first: bool) -> Node:
    """The result of a part and the residual stream."""
    return b.graph.like("ADD", "residual", *((stream, x) if stream_first else (x, stream)))


def mixer(b: Builder, part: Block, x: Node, layer: int) -> Node:
    """What lets tokens see each other."""
    a, s = part.attention, part.state
    if s is not None:
        if s.kind == "mamba2":
            return mamba2(b, s, x, layer)
        if s.kind == "gated_delta_net":
            return delta_net(b, s, x, layer)
        if s.kind == "short_conv":
            return short_convolution(b, s, x, layer)
        raise NotModelled(f"Layers of kind {s.kind} under llama.cpp are not modelled.")
    assert a is not None
    if a.kind == "mla":
        return latent(b, a, x, layer)
    return gated(b, a, x, layer) if a.output_gate else grouped(b, a, x, layer)
