"""What Gemma 3n and Gemma 4 have beside the layers of Gemma 3: inputs per layer, several streams.

Source: llama.cpp v0.5.0 ``src/models/gemma4.cpp``, ``src/models/gemma3n.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.memory.llama_cpp.attention import grouped
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.feed_forward import chosen_experts, dense
from vram_advisor.memory.llama_cpp.node import HOST, Node

STREAMS = 4
"""Streams of Gemma 3n (altup_num_inputs)."""
LAUREL_RANK = 64
SPARSE_LAYERS = 10
"""First layers of Gemma 3n whose gate keeps its largest values only (activation_sparsity_pattern)."""


@dataclass(frozen=True, slots=True)
class PerLayer:
    """The inputs that each layer gets of its own."""

    values: Node
    """(width, tokens, layers)."""

    def of(self, b: Builder, layer: int) -> Node:
        """Those of one layer."""
        width, tokens = self.values.ne[:2]
        return b.graph.view(self.values, (width, tokens), (4 * width,))


def per_layer_input(model: ModelSpec) -> int:
    """Width of the input that each layer gets of its own; 0: none."""
    for block in model.blocks:
        for extra in block.extra:
            if "per_layer_input_gate" in extra.name:
                return extra.shape[0]
    return 0


def gemma_inputs(b: Builder, x: Node) -> PerLayer:
    """Rows of the per-layer table and a projection of the embeddings, added."""
    g, model = b.graph, b.model
    width, layers, tokens = per_layer_input(model), model.num_hidden_layers, b.tokens
    table = b.weight("per_layer_token_embd.weight", width * layers, model.vocab_size, itemtype="F16")
    table.place = HOST
    rows = g.rows("inputs per layer", table, g.input("token ids", "I32", tokens))
    rows = g.like("SCALE", rows.label, g.reshape(rows, width, layers, tokens))
    g.expand(rows)
    projection = b.weight("per_layer_model_proj.weight", model.hidden_size, width * layers, itemtype="F16")
    projection.place = (
        b.stored[name].place if (name := "per_layer_model_proj.weight") in b.stored else b.layout.layers[0]
    )
    projected = g.like("SCALE", rows.label, g.multiply(rows.label, projection, x))
    projected = g.reshape(projected, width, layers, tokens)
    normed = b.norm(projected, "per_layer_proj_norm", None, "rms")
    both = g.like("SCALE", rows.label, g.like("ADD", rows.label, normed, rows))
    turned = g.permute(both, 0, 2, 1, 3)
    return PerLayer(g.cont(rows.label, turned))


def gemma4_tail(b: Builder, part: Block, middle: Node, layer: int, per_layer: PerLayer | None) -> Node:
    """A layer of Gemma 4 behind its attention."""
    g = b.graph
    if part.experts is not None:
        shared = dense(b, part.mlp, b.norm(middle, "ffn_norm", layer), layer) if part.mlp else middle
        shared = b.norm(shared, "post_ffw_norm_1", layer)
        x = b.norm(middle, "pre_ffw_norm_2", layer)
        scaled = g.like("SCALE", "router", g.like("RMS_NORM", "router", middle))
        scaled = g.like("MUL", "router", scaled, b.weight("ffn_gate_inp.scale", b.model.hidden_size, layer=layer))
        logits = b.multiply("ffn_gate_inp", scaled, part.experts.num_experts, layer)
        x = b.norm(chosen_experts(b, part.experts, x, layer, logits), "post_ffw_norm_2", layer)
        x = g.like("ADD", "experts", shared, x)
    else:
        assert part.mlp is not None
        x = dense(b, part.mlp, b.norm(middle, "ffn_norm", layer), layer)
    x = g.like("ADD", "residual", b.norm(x, "post_ffw_norm", layer, pinned=False), middle)
    if per_layer is not None:
        inner = g.unary("inp_gate", b.multiply("inp_gate", x, per_layer.values.ne[0], layer))
        inner = g.like("MUL", "inp_gate", inner, per_layer.of(b, layer))
        out = b.norm(b.multiply("proj", inner, b.model.hidden_size, layer), "post_norm", layer)
        x = g.like("ADD", "residual", x, out)
    if not b.stored or f"blk.{layer}.layer_output_scale.weight" in b.stored:
        x = g.like("MUL", "residual", x, b.weight("layer_output_scale.weight", 1, layer=layer))
    return x


def record_gemma3n(b: Builder, x: Node) -> Node:
    """All layers of Gemma 3n, from the embeddings to the merged streams."""
    g, model, tokens = b.graph, b.model, b.tokens
    hidden = model.hidden_size
    per_layer = gemma_inputs(b, x)
    more = STREAMS - 1
    target = magnitude(b, x)
    repeated = g.op("REPEAT", "streams", (hidden, tokens, more, 1), x)
    added = g.multiply("streams", b.weight("altup_proj.weight", hidden, hidden, more, itemtype="F16"), repeated)
    streams = g.concat("streams", x, resized(b, added, target), 2)
    for layer, kind in enumerate(model.layer_kinds):
        streams = gemma3n_layer(b, model.blocks[kind], streams, layer, per_layer)
    target = magnitude(b, one(b, streams))
    rest = g.view(streams, (hidden, tokens, more), streams.nb[1:3])
    out = b.weight("altup_unembd_proj.weight", hidden, hidden, more, itemtype="F16")
    unembedded = resized(b, g.multiply("streams", out, rest), target)
    x = one(b, streams)
    for _ in range(more):
        x = g.like("ADD", "streams", x, one(b, unembedded))
    return g.like("SCALE", "streams", x)


def one(b: Builder, streams: Node) -> Node:
    """One of the streams."""
    return b.graph.view(streams, streams.ne[:2], (4 * streams.ne[0],))


def magnitude(b: Builder, x: Node) -> Node:
    """Root of the sum of squares of each token."""
    g = b.graph
    total = g.op("SUM_ROWS", "magnitude", (1, *x.ne[1:]), g.like("SQR", "magnitude", x))
    return g.like("SQRT", "magnitude", total)


def resized(b: Builder, x: Node, target: Node) -> Node:
    """The streams with the magnitude of another."""
    g = b.graph
    new = magnitude(b, x)
    return g.like("DIV", "streams", g.like("MUL", "streams", x, target), new)


def modalities(b: Builder, x: Node, layer: int) -> Node:
    """How much each stream counts."""
    g = b.graph
    inner = g.like("SCALE", "altup", b.norm(x, "altup_router_norm", layer))
    return g.unary("altup", g.multiply("altup", b.matrix("altup_router", x.ne[0], STREAMS, layer), inner))


def gemma3n_layer(b: Builder, part: Block, streams: Node, layer: int, per_layer: PerLayer) -> Node:
    """A layer of Gemma 3n."""
    g, hidden, tokens = b.graph, b.model.hidden_size, b.tokens
    assert part.attention is not None and part.mlp is not None
    coefficients = b.multiply("altup_predict_coef", modalities(b, one(b, streams), layer), STREAMS * STREAMS, layer)
    coefficients = g.reshape(coefficients, STREAMS, STREAMS, tokens)
    turned = g.permute(streams, 1, 2, 0, 3)
    predictions = g.multiply("altup", g.cont("altup", turned), coefficients)
    turned = g.permute(predictions, 0, 2, 1, 3)
    predictions = g.like("ADD", "altup", g.cont("altup", turned), streams)
    active = one(b, predictions)
    x = b.norm(active, "attn_norm", layer)
    laurel = b.multiply("laurel_r", b.multiply("laurel_l", x, LAUREL_RANK, layer), hidden, layer)
    laurel = g.like("ADD", "laurel", b.norm(laurel, "laurel_post_norm", layer), x)
    x = b.norm(grouped(b, part.attention, x, layer), "post_attention_norm", layer)
    x = g.like("ADD", "residual", x, active)
    middle = g.like("SCALE", "residual", g.like("ADD", "residual", x, laurel))
    x = b.norm(middle, "ffn_norm", layer)
    inner = part.mlp.intermediate_size
    up, gate = b.multiply("ffn_up", x, inner, layer), b.multiply("ffn_gate", x, inner, layer)
    if layer < SPARSE_LAYERS:
        gate = largest_values(b, gate)
    gate = g.unary("ffn_gate", gate)
    x = b.multiply("ffn_down", g.like("MUL", "feed-forward", up, gate), hidden, layer)
    x = g.like("ADD", "residual", b.norm(x, "post_ffw_norm", layer, pinned=False), middle)
    corrected = correct(b, predictions, x, layer)
    first = g.like("MUL", "altup", one(b, corrected), b.weight("altup_correct_scale.weight", hidden, layer=layer))
    first = g.unary("inp_gate", b.multiply("inp_gate", first, per_layer.values.ne[0], layer))
    first = g.like("MUL", "inp_gate", first, per_layer.of(b, layer))
    first = b.norm(b.multiply("proj", first, hidden, layer), "post_norm", layer)
    head = one(b, corrected)
    rest = g.view(corrected, (hidden, tokens, STREAMS - 1), (4 * hidden, 4 * hidden * tokens))
    return g.concat("streams", head, g.like("ADD", "streams", rest, first), 2)


def largest_values(b: Builder, x: Node) -> Node:
    """Values above a threshold, the rest zero."""
    g = b.graph
    per_token = (1, *x.ne[1:])
    mean = g.op("MEAN", "threshold", per_token, x)
    squares = g.like("SQR", "threshold", g.like("SUB", "threshold", x, mean))
    deviation = g.like(
        "SQRT", "threshold", g.like("SCALE", "threshold", g.op("SUM_ROWS", "threshold", per_token, squares))
    )
    cutoff = g.like("ADD", "threshold", mean, g.like("SCALE", "threshold", deviation))
    return g.unary("ffn_gate", g.like("SUB", "ffn_gate", x, cutoff))


def correct(b: Builder, predictions: Node, x: Node, layer: int) -> Node:
    """The streams after the layer has seen the active one."""
    g, tokens = b.graph, b.tokens
    weights = modalities(b, x, layer)
    innovation = g.like("SUB", "altup", x, one(b, predictions))
    weights = g.like("SCALE", "altup", b.multiply("altup_correct_coef", weights, STREAMS, layer))
    weights = g.cont("altup", g.transpose(weights), 1, tokens, STREAMS)
    repeated = g.op("REPEAT", "altup", (x.ne[0], tokens, STREAMS, 1), innovation)
    return g.like("ADD", "altup", g.like("MUL", "altup", repeated, weights), predictions)
