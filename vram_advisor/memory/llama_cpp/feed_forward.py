"""Feed-forward layers and mixtures of experts.

Source: llama.cpp v0.5.0 ``src/llama-graph.cpp`` (build_ffn, build_moe_ffn).
"""

from __future__ import annotations

from vram_advisor.domain.model import Experts, Mlp
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.node import Node


def dense(b: Builder, part: Mlp, x: Node, layer: int, suffix: str = "", width: int | None = None) -> Node:
    """A feed-forward layer; ``suffix``: that of an expert which every token passes."""
    g, inner = b.graph, width or part.intermediate_size
    hidden = b.model.hidden_size
    if b.habits.fused_gate and part.gated and not suffix:
        both = b.multiply("ffn_up", x, 2 * inner, layer)
        return b.multiply("ffn_down", g.glu("feed-forward", both), hidden, layer)
    up = b.multiply(f"ffn_up{suffix}", x, inner, layer, part.bias)
    if part.gated:
        gate = b.multiply(f"ffn_gate{suffix}", x, inner, layer, part.bias)
        middle = g.glu("feed-forward", gate, up)
    else:
        middle = g.unary(up.label, up)
        if part.activation == "relu2":
            middle = g.like("SQR", up.label, middle)
    if b.habits.inner_norms:
        middle = b.norm(middle, "ffn_sub_norm", layer, "rms")
    return b.multiply(f"ffn_down{suffix}", middle, hidden, layer, part.bias)


def mixture(b: Builder, part: Experts, x: Node, layer: int) -> Node:
    """The chosen experts of each token, summed with their weights, and the expert that every token passes."""
    inner, logits = x, None
    if part.latent_size:
        inner = b.multiply("ffn_latent_down", x, part.latent_size, layer)
        logits = b.multiply("ffn_gate_inp", x, part.num_experts, layer)
    routed = chosen_experts(b, part, inner, layer, logits)
    if part.latent_size:
        routed = b.multiply("ffn_latent_up", routed, b.model.hidden_size, layer)
    if not part.shared_expert_intermediate_size:
        return routed
    shape = Mlp(part.shared_expert_intermediate_size, part.gated, activation=part.activation)
    g = b.graph
    if part.shared_expert_gate and b.habits.shared_gate == "silu":
        raw = b.multiply("ffn_gate_inp_shexp", x, 1, layer)
        gate = g.like("DIV", raw.label, g.unary(raw.label, raw), raw)
        shared = g.like("MUL", "shared expert", dense(b, shape, x, layer, "_shexp"), gate)
    else:
        shared = dense(b, shape, x, layer, "_shexp")
        if part.shared_expert_gate:
            gate = g.unary("shared gate", b.multiply("ffn_gate_inp_shexp", x, 1, layer))
            shared = g.like("MUL", "shared expert", shared, gate)
    return g.like("ADD", "experts", routed, shared)


def chosen_experts(b: Builder, part: Experts, x: Node, layer: int, logits: Node | None = None) -> Node:
    """The chosen experts of each token."""
    g, habits, tokens = b.graph, b.habits, x.ne[1]
    count, used, inner = part.num_experts, part.num_experts_per_tok, part.moe_intermediate_size
    width = x.ne[0]
    if logits is None:
        logits = b.multiply("ffn_gate_inp", x, count, layer, part.router_bias)
    probs = logits
    if habits.gating == "softmax":
        probs = g.like("SOFT_MAX", "router", logits)
    elif habits.gating == "sigmoid":
        probs = g.unary("router", logits)
    selection = probs
    if part.correction_bias and habits.biased_choice:
        selection = g.like("ADD", "router", probs, b.weight("exp_probs_b.bias", count, layer=layer))
    if habits.weights_first:
        selection = logits
    ids = g.top("router", selection, used)
    weights = g.rows("router", g.reshape(probs, 1, count, tokens), ids)
    if habits.gating == "softmax_of_chosen":
        weights = g.reshape(g.like("SOFT_MAX", "router", g.reshape(weights, used, tokens)), 1, used, tokens)
    if habits.normed_experts:
        flat = g.reshape(weights, used, tokens)
        total = g.like("CLAMP", "router", g.op("SUM_ROWS", "router", (1, tokens, 1, 1), flat))
        weights = g.reshape(g.like("DIV", "router", flat, total), 1, used, tokens)
    g.expand(weights)
    x = g.reshape(x, width, 1, tokens)
    if habits.weights_first:
        repeated = g.op("REPEAT", "weighted tokens", (width, used, tokens, 1), x)
        x = g.like("MUL", "weighted tokens", repeated, weights)

    def stack(name: str, inputs: int, outputs: int, y: Node) -> Node:
        matrix = b.weight(f"{name}.weight", inputs, outputs, count, layer=layer, itemtype="F16")
        result = b.adapted(name, matrix, g.multiply_chosen(name, matrix, y, ids), y, layer, ids)
        if part.bias:
            result = g.like("ADD_ID", name, result, b.weight(f"{name}.bias", outputs, count, layer=layer), ids)
        return result

    if part.gated and f"blk.{layer}.ffn_gate_up_exps.weight" in b.stored:
        both = stack("ffn_gate_up_exps", width, 2 * inner, x)
        gate, up = (g.view(both, (inner, used, tokens), both.nb[1:3]) for _ in range(2))
        middle = g.glu("experts", gate, up)
    else:
        up = stack("ffn_up_exps", width, inner, x)
        if part.gated:
            middle = g.glu("experts", stack("ffn_gate_exps", width, inner, x), up)
        else:
            middle = g.unary("experts", up)
            if part.activation == "relu2":
                middle = g.like("SQR", "experts", middle)
    experts = stack("ffn_down_exps", inner, width, middle)
    if not habits.weights_first:
        experts = g.like("MUL", "experts", experts, weights)
    g.expand(experts)
    views = [g.view(experts, (width, tokens), (experts.nb[2],)) for _ in range(used)]
    for view in views:
        g.expand(view)
    result = views[0]
    for view in views[1:]:
        result = g.like("ADD", "sum of experts", result, view)
        g.expand(result)
    return g.cont("sum of experts", result) if used == 1 else result
