"""The graph of a batch: embedding, layers, output.

Source: llama.cpp v0.5.0 ``src/models``.
"""

from __future__ import annotations

from vram_advisor.domain.model import Block
from vram_advisor.memory.llama_cpp.attention import gated, grouped
from vram_advisor.memory.llama_cpp.builder import Builder, attention_inputs
from vram_advisor.memory.llama_cpp.feed_forward import dense, mixture
from vram_advisor.memory.llama_cpp.gemma import PerLayer, gemma4_tail, gemma_inputs, per_layer_input, record_gemma3n
from vram_advisor.memory.llama_cpp.latent import latent
from vram_advisor.memory.llama_cpp.node import HOST, Node
from vram_advisor.memory.llama_cpp.states import delta_net, mamba2, short_convolution
from vram_advisor.units.errors import NotModelled


def record(b: Builder) -> None:
    """Write the whole graph."""
    g, model, habits = b.graph, b.model, b.habits
    x = embedding(b)
    stack = x
    if habits.deepstack:
        x = g.view(x, (model.hidden_size, b.tokens), (x.nb[1],))
    inputs(b)
    if habits.positions == "learned":
        assert b.positions is not None
        table = b.weight("position_embd.weight", model.hidden_size, model.position_rows)
        table.place = HOST
        x = g.like("ADD", "embeddings", x, g.rows("positions", table, b.positions))
    if model.embedding_norm is not None:
        x = b.norm(x, "token_embd_norm", None, model.embedding_norm)
        if b.layout.full and b.layout.layers[0] != HOST:
            g.pins[x.sources[0]] = b.layout.layers[0]
    if model.architecture == "gemma3n_text":
        finish(b, record_gemma3n(b, x))
        return
    out_ids = g.input("rows of logits", "I32", b.sizes.n_outputs)
    per_layer = gemma_inputs(b, x) if per_layer_input(model) else None
    last = model.num_hidden_layers - 1
    for layer, kind in enumerate(model.layer_kinds):
        rows = out_ids if layer == last and habits.rows == "layer" else None
        x = block(b, model.blocks[kind], x, layer, rows, per_layer)
        if layer < habits.deepstack:
            x = g.like("ADD", "residual", x, g.view(stack, (model.hidden_size, b.tokens), (stack.nb[1],)))
    finish(b, x, out_ids)


def finish(b: Builder, x: Node, out_ids: Node | None = None) -> None:
    """The last norm and the output layer."""
    g, model, habits = b.graph, b.model, b.habits
    if out_ids is None:
        out_ids = g.input("rows of logits", "I32", b.sizes.n_outputs)
        x = g.rows("chosen rows", x, out_ids)
    elif habits.rows == "end":
        x.is_output = True
        x = g.rows("chosen rows", x, out_ids)
    if model.final_norm is not None:
        x = b.norm(x, "output_norm", None, model.final_norm)
    if habits.rows == "normed":
        x.is_output = True
        x = g.rows("chosen rows", x, out_ids)
    x.is_output = True
    if habits.shares_embedding:
        logits = g.multiply("logits", b.weights["token_embd.weight"], x)
    else:
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
    width = hidden * (1 + b.habits.deepstack)
    tokens = g.input("token ids", "I32", b.tokens)
    # Older builds wrote the graph for tokens or for embeddings that are given, newer ones for both.
    given = g.input("embeddings", "F32", width, b.tokens) if b.options.graph != "2025" else None
    table = b.weight("token_embd.weight", hidden, b.model.vocab_size, itemtype="F16")
    table.place = HOST
    x = g.rows("embeddings", table, tokens)
    if width != hidden:
        x = g.op("PAD", "embeddings", (width, b.tokens, 1, 1), x)
    g.expand(x)
    if given is not None:
        g.expand(given)
    return g.like("SCALE", "embeddings", x) if b.habits.scales_embedding else x


def inputs(b: Builder) -> None:
    """Positions, masks, slots."""
    g = b.graph
    b.positions = g.input("positions", "I32", b.tokens * b.habits.positions_per_token)
    b.attention_inputs = {window: attention_inputs(b, window) for window in (False, True)}
    if b.habits.scales_unrotated:
        b.query_scale = g.input("scale of queries", "F32", 1, 1, b.tokens)
    if any(block.state for block in b.model.blocks):
        slots = g.input("slots", "I32", b.sizes.n_seqs)
        b.state_rows = (g.view(slots, (b.sizes.n_seqs,)), g.view(slots, (0,)))


def block(b: Builder, part: Block, x: Node, layer: int, rows: Node | None, per_layer: PerLayer | None = None) -> Node:
    """One layer; ``rows``: the rows that are picked before its feed-forward part."""
    g, habits = b.graph, b.habits
    if part.attention is None and part.state is None:
        return add(b, feed_forward(b, part, b.norm(x, "attn_norm", layer, part.norm), layer), x, False)
    before = x
    if habits.norms != "after":
        x = b.norm(x, "attn_norm", layer, part.norm)
    if habits.norm_first:
        g.expand(x)
    if part.parallel and habits.sums is not None:
        return side_by_side(b, part, before, x, layer, rows)
    x = mixer(b, part, x, layer)
    if rows is not None:
        x, before = g.rows("chosen rows", x, rows), g.rows("chosen rows", before, rows)
    if habits.norms in ("around", "after"):
        x = b.norm(x, "post_attention_norm", layer, part.norm)
    if habits.scales_residual:
        x = g.like("SCALE", "residual", x)
    middle = add(b, x, before, habits.stream_first == "always")
    if part.mlp is None and part.experts is None:
        return middle
    x = middle
    if b.model.architecture == "gemma4_text":
        return gemma4_tail(b, part, middle, layer, per_layer)
    if habits.norms != "after":
        x = b.norm(x, "ffn_norm", layer, part.norm)
    x = feed_forward(b, part, x, layer)
    if habits.norms in ("around", "after"):
        x = b.norm(x, "post_ffw_norm", layer, part.norm, pinned=b.model.architecture == "glm4")
    if habits.scales_residual:
        x = g.like("SCALE", "residual", x)
    return add(b, x, middle, habits.stream_first != "never")


def feed_forward(b: Builder, part: Block, x: Node, layer: int) -> Node:
    """The second part of a layer."""
    if part.mlp is not None:
        return dense(b, part.mlp, x, layer)
    assert part.experts is not None
    return mixture(b, part.experts, x, layer)


def side_by_side(b: Builder, part: Block, stream: Node, x: Node, layer: int, rows: Node | None) -> Node:
    """Attention and feed-forward on the same input (Falcon, Phi, Command R, GPT-NeoX)."""
    g = b.graph
    assert b.habits.sums is not None
    own_norm = part.num_norms > 1
    falcon = b.model.architecture == "falcon"
    normed = x
    if own_norm and falcon:
        x = b.norm(stream, "attn_norm_2", layer, part.norm)
    x = mixer(b, part, x, layer)
    if rows is not None:
        x, stream = g.rows("chosen rows", x, rows), g.rows("chosen rows", stream, rows)
        if not own_norm or falcon:
            normed = g.rows("chosen rows", normed, rows)
    if own_norm and not falcon:
        normed = b.norm(stream, "ffn_norm", layer, part.norm)
    terms = {"attention": x, "stream": stream, "feed_forward": feed_forward(b, part, normed, layer)}
    first, second, third = (terms[name] for name in b.habits.sums)
    return g.like("ADD", "residual", g.like("ADD", "residual", first, second), third)


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
    if a.index_n_heads:
        raise NotModelled("Attention that chooses tokens by an indexer is not modelled under llama.cpp.")
    if a.kind == "mla":
        return latent(b, a, x, layer)
    return gated(b, a, x, layer) if a.output_gate else grouped(b, a, x, layer)
