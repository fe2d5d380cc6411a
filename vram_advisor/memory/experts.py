"""A mixture of experts: router, tokens sorted by expert, two grouped matrix products, weighted sum.

Source: transformers ``integrations/moe.py`` grouped_mm_experts_forward (what v5 runs on CUDA), routers of
``models/*/modeling_*.py``; peft ``tuners/lora/layer.py`` ParamWrapper (adapters of stacked experts).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Experts, Mlp
from vram_advisor.memory.activations import activate
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.expert_loop import expert_loop
from vram_advisor.memory.expert_weights import expert_weight, router_weight
from vram_advisor.memory.feed_forward import mlp
from vram_advisor.memory.habits import Habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.tape import Value


def experts(t: LayerTape, x: Value, e: Experts, h: Habits, weights: Value | None = None) -> Value:
    """Router, experts, shared expert. x [T x hidden_size]; ``weights`` where the router has done its work."""
    shared_first = bool(e.shared_expert_intermediate_size) and h.shared_expert_first
    beside = shared(t, x, e) if shared_first else None
    if weights is None:
        weights = route(t, x, e, h)
    if t.numerics.linear_experts:
        routed = expert_loop(t, x, weights, e, h)
    else:
        routed = grouped(t, x, weights, e)
    if e.shared_expert_intermediate_size:
        beside = gated_share(t, x, beside or shared(t, x, e), e)
        routed = t.add(routed, beside, "experts and shared expert")
    t.drop(x)
    return routed


def shared(t: LayerTape, x: Value, e: Experts) -> Value:
    """The expert that every token passes."""
    return mlp(t, x, Mlp(e.shared_expert_intermediate_size, gated=e.gated, activation=e.activation))


def gated_share(t: LayerTape, x: Value, out: Value, e: Experts) -> Value:
    """The output of the shared expert, in some models times one number per token."""
    if not e.shared_expert_gate:
        return out
    gate = linear(t, x, "shared_expert_gate", 1)
    bent = t.record("sigmoid of the shared expert gate", [gate], "T", 1, gate.itemsize, save_output=True)
    return weighted(t, out, bent, "gated shared expert")


def weighted(t: LayerTape, x: Value, weights: Value, label: str) -> Value:
    """Rows of x times one number each; both are saved."""
    itemsize = max(x.itemsize, weights.itemsize)
    # A product for the weights, and one for x where it is narrower: that is cast behind the node.
    products = 2 if itemsize > x.itemsize else 1
    work = [Amount(f"{label} gradient product", x.rows, x.width, itemsize, "workspace") for _ in range(products)]
    return t.record(label, [x, weights], x.rows, x.width, itemsize, saved=[x, weights], backward_temporaries=work)


def route(t: LayerTape, x: Value, e: Experts, h: Habits) -> Value:
    """Weights of the chosen experts [T x num_experts_per_tok]; probabilities of all are fp32 and saved."""
    k, count = e.num_experts_per_tok, e.num_experts
    places = Amount("chosen experts", "T", k, 8, "activation")
    logits = router_scores(t, x, count, h)
    if h.router != "softmax_first":
        if h.router == "top_first_fp32":
            logits = t.cast(logits, 4, "router scores in fp32")
        top = t.record("scores of chosen experts", [logits], "T", k, logits.itemsize, saved=[places])
        out = t.record("routing weights", [top], "T", k, logits.itemsize, save_output=True)
        if h.router == "top_first_fp32":
            out = t.cast(out, x.itemsize, "routing weights")
    else:
        wide = t.cast(logits, 4, "router scores in fp32")
        all_of_them = t.record("router probabilities", [wide], "T", count, 4, save_output=True)
        top = t.record("probabilities of chosen experts", [all_of_them], "T", k, 4, saved=[places])
        out = t.record("routing weights", [top], "T", k, 4)
        if t.numerics.linear_experts:
            out = t.cast(out, x.itemsize, "routing weights")
        elif not h.routing_fp32:
            out = t.cast(out, logits.itemsize, "routing weights")
    t.drop(logits)
    return out


def router_scores(t: LayerTape, x: Value, count: int, h: Habits) -> Value:
    """Scores of all experts, in fp32 where the architecture turns input and weight into fp32."""
    n = t.numerics
    if n.linear_experts:
        return linear(t, x, "gate", count)
    wide = h.router_fp32 != "no"
    if not (wide or n.targeted("router")):
        return t.matmul(x, "router scores", x.width, count, n.weight, n.train_base)
    weight = router_weight(t, x.width, count)
    if wide:
        x, weight = t.cast(x, 4, "router input in fp32"), t.cast(weight, 4, "router weight in fp32")
    compute = x.itemsize if h.router_fp32 == "always" else n.autocast or x.itemsize
    x, weight = t.cast(x, compute), t.cast(weight, compute)
    saved = [weight] + ([x] if weight.needs_grad else [])
    return t.record("router scores", [x, weight], "T", count, compute, saved=saved, gradient_is_view=True)


def grouped(t: LayerTape, x: Value, weights: Value, e: Experts) -> Value:
    """Every pair of token and expert is a row; rows of one expert lie together. Indices are int64."""
    k, width, inner = e.num_experts_per_tok, x.width, e.moe_intermediate_size

    def index(label: str) -> Amount:
        return Amount(label, "T", k, 8, "activation")

    held = [t.record("experts in order", [weights], "T", k, 12, differentiable=False)]
    rows = t.record("tokens by expert", [x], "T", k * width, x.itemsize, saved=[index("tokens of the rows")])
    ordered = t.record(
        "routing weights by expert", [weights], "T", k, weights.itemsize, saved=[index("order of the experts")]
    )
    name, wide = ("gate_up_proj", 2 * inner) if e.gated else ("up_proj", inner)
    up_weight = adapted(t, name, e, width, wide)
    up = product(t, rows, up_weight, name, e, width, wide)
    active = gate(t, up, e)
    down_weight = adapted(t, "down_proj", e, inner, width)
    down = product(t, active, down_weight, "down_proj", e, inner, width)
    product_out = weighted(t, down, ordered, "weighted rows")
    restored = t.record(
        "rows by token", [product_out], "T", k * width, product_out.itemsize, saved=[index("places of the rows")]
    )
    out = t.cast(t.record("sum of experts", [restored], "T", width, restored.itemsize), x.itemsize)
    t.drop(rows, down, restored, *up_weight, *down_weight, *held)
    return out


def adapted(t: LayerTape, name: str, e: Experts, in_features: int, out_features: int) -> tuple[Value, ...]:
    """The weight with its adapter, if it has one, and the adapter's matrices: PEFT keeps them until the experts are
    done."""
    if not t.numerics.targeted(f"experts.{name}"):
        return ()
    return expert_weight(t, f"experts {name}", e.num_experts, in_features, out_features, name)


def product(
    t: LayerTape, rows: Value, weight: tuple[Value, ...], name: str, e: Experts, in_features: int, out_features: int
) -> Value:
    """A grouped matrix product: of rows in the dtype of the weights, whatever autocast says."""
    n, k = t.numerics, e.num_experts_per_tok
    numel = e.num_experts * in_features * out_features
    rows = t.cast(rows, n.weight)
    label = f"experts {name}"
    biases: list[Value] = []
    if e.bias:
        biases = [t.record(f"{label} biases by row", [], "T", k * out_features, n.weight, needs_grad=n.train_base)]
    if weight:
        out = t.record(f"{label} output", [rows, weight[0]], "T", k * out_features, n.weight, saved=[rows, weight[0]])
    else:
        gradient = [Amount(f"gradient of {label}", "one", numel, n.weight, "gradient")] if n.train_base else []
        out = t.record(
            f"{label} output", [rows], "T", k * out_features, n.weight,
            saved=[rows] if n.train_base else [], parameters=gradient,
        )  # fmt: skip
    if not biases:
        return out
    # The biases are added in place; the frame holds them until those of the next product take their name.
    summed = t.record(f"{label} with bias", [out, *biases], "T", k * out_features, n.weight, view=True)
    t.drop(*biases)
    return summed


def gate(t: LayerTape, up: Value, e: Experts) -> Value:
    """``act(gate) * up``; gpt-oss bounds both and writes its sigmoid out."""
    if not e.gated:
        return activate(t, up, e.activation, "experts activated")
    width = up.width // 2
    if e.bias:
        return bounded_gate(t, up, width)
    first, second = t.split(up, gate=width, up=width)
    out = t.multiply(activate(t, first, e.activation, "experts activated"), second, "experts gated product")
    t.drop(up)
    return out


def bounded_gate(t: LayerTape, up: Value, width: int) -> Value:
    """``(min(up) + 1) * g * sigmoid(alpha * g)`` with g the bounded gate (gpt-oss)."""

    def bounded(name: str) -> Value:
        part = t.record(f"experts {name} part", [up], "T", width, up.itemsize, view=True, slices=True)
        mask = Amount(f"experts {name} within bounds", "T", width, 1, "workspace")
        return t.record(
            f"experts {name} bounded", [part], "T", width, up.itemsize, saved=[part], backward_temporaries=[mask]
        )

    first, second = bounded("gate"), bounded("up")
    bent = t.record("sigmoid of the gate", [t.scale(first, "scaled gate")], "T", width, up.itemsize, save_output=True)
    glu = t.multiply(first, bent, "gate times sigmoid")
    shifted = t.record("up + 1", [second], "T", width, up.itemsize, passes_gradient=True)
    out = t.multiply(shifted, glu, "experts gated product")
    t.drop(up, first, second, glu)
    return out
