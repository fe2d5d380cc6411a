"""Tensors of one layer. Each function yields (name relative to the layer, shape, role, kind)."""

from collections.abc import Iterator

from vram_advisor.domain.architectures.row import Names
from vram_advisor.domain.model import WITH_BIAS, Attention, Block, Experts, Kind, Mlp, NormKind, Role, StateSpace

Part = tuple[str, tuple[int, ...], Role, Kind]


def join(*parts: str) -> str:
    """State-dict name of the parts that are not empty."""
    return ".".join(part for part in parts if part)


def linear(name: str, out: int, inputs: int, role: Role, bias: bool = False) -> Iterator[Part]:
    """A linear layer: (out, in), and its bias."""
    yield f"{name}.weight", (out, inputs), role, "linear"
    if bias:
        yield f"{name}.bias", (out,), "bias", "vector"


def norm(name: str, width: int, kind: NormKind | None) -> Iterator[Part]:
    """A norm of the given width."""
    if kind is None or kind == "none_parametric":
        return
    yield f"{name}.weight", (width,), "norm", "vector"
    if kind in WITH_BIAS:
        yield f"{name}.bias", (width,), "norm", "vector"


def grouped_query(part: Attention, hidden: int, names: Names) -> Iterator[Part]:
    """Projections of multi-head, grouped-query and multi-query attention; a repeated name is one fused projection."""
    query, key, value, output = part.modules
    widths = {query: part.query_size * (2 if part.output_gate else 1)}
    if not part.kv_shared:
        widths[key] = widths.get(key, 0) + part.key_size
        if not part.k_is_v:
            widths[value] = widths.get(value, 0) + part.value_size
    for module, out in widths.items():
        yield from linear(join(names.attention, module), out, hidden, "attention", part.qkv_bias)
    yield from linear(join(names.attention, output), hidden, part.output_size, "attention", part.output_bias)
    if part.qk_norm in ("head", "full"):
        full = part.qk_norm == "full"
        yield from norm(join(names.attention, names.qk_norms[0]), part.query_size if full else part.head_dim, "rms")
        if not part.kv_shared:
            yield from norm(join(names.attention, names.qk_norms[1]), part.key_size if full else part.head_dim, "rms")
    if part.sinks:
        yield join(names.attention, "sinks"), (part.num_attention_heads,), "attention", "vector"


def latent(part: Attention, hidden: int, names: Names) -> Iterator[Part]:
    """Projections of multi-head latent attention, and the indexer of sparse attention where there is one."""
    rank = part.kv_lora_rank or 0
    rope = part.qk_rope_head_dim or 0
    nope = part.qk_nope_head_dim or 0
    heads = part.num_attention_heads
    path = names.attention
    if part.q_lora_rank:
        yield from linear(join(path, "q_a_proj"), part.q_lora_rank, hidden, "attention", part.qkv_bias)
        yield from norm(join(path, "q_a_layernorm"), part.q_lora_rank, "rms")
        yield from linear(join(path, "q_b_proj"), part.query_size, part.q_lora_rank, "attention")
    else:
        yield from linear(join(path, "q_proj"), part.query_size, hidden, "attention")
    yield from linear(join(path, "kv_a_proj_with_mqa"), rank + rope, hidden, "attention", part.qkv_bias)
    yield from norm(join(path, "kv_a_layernorm"), rank, "rms")
    yield from linear(join(path, "kv_b_proj"), heads * (nope + part.v_head_dim), rank, "attention")
    yield from linear(join(path, "o_proj"), hidden, part.output_size, "attention", part.output_bias)
    if part.index_n_heads and part.index_head_dim:
        wide = part.index_n_heads * part.index_head_dim
        yield from linear(join(path, "indexer.wq_b"), wide, part.q_lora_rank or hidden, "attention")
        yield from linear(join(path, "indexer.wk"), part.index_head_dim, hidden, "attention")
        yield from norm(join(path, "indexer.k_norm"), part.index_head_dim, "layer")
        yield from linear(join(path, "indexer.weights_proj"), part.index_n_heads, hidden, "attention")


def mlp(part: Mlp, hidden: int, names: Names) -> Iterator[Part]:
    """The dense feed-forward layer; a repeated name is gate and up fused."""
    *inputs, down = part.modules
    for module in dict.fromkeys(inputs):
        out = part.intermediate_size * inputs.count(module)
        yield from linear(join(names.mlp, module), out, hidden, "mlp", part.bias)
    yield from linear(join(names.mlp, down), hidden, part.intermediate_size, "mlp", part.bias)


def experts(part: Experts, hidden: int, names: Names) -> Iterator[Part]:
    """Router, stacked experts and the expert that every token passes."""
    yield from linear(names.router, part.num_experts, hidden, "router", part.router_bias)
    width = part.latent_size or hidden
    up = "gate_up_proj" if part.gated else "up_proj"
    wide = part.moe_intermediate_size * (2 if part.gated else 1)
    yield join(names.experts, up), (part.num_experts, wide, width), "expert", "expert_stack"
    yield (
        join(names.experts, "down_proj"),
        (part.num_experts, width, part.moe_intermediate_size),
        "expert",
        "expert_stack",
    )
    if part.bias:
        yield join(names.experts, f"{up}_bias"), (part.num_experts, wide), "expert", "vector"
        yield join(names.experts, "down_proj_bias"), (part.num_experts, width), "expert", "vector"
    if part.shared_expert_intermediate_size:
        *inputs, down = names.shared_modules
        for module in dict.fromkeys(inputs):
            out = part.shared_expert_intermediate_size * inputs.count(module)
            yield from linear(join(names.shared, module), out, hidden, "shared_expert")
        yield from linear(join(names.shared, down), hidden, part.shared_expert_intermediate_size, "shared_expert")
    if part.shared_expert_gate:
        yield from linear(f"{names.shared}_gate", 1, hidden, "shared_expert")


def state(part: StateSpace, hidden: int, names: Names) -> Iterator[Part]:
    """A layer with a state of fixed size."""
    path = names.state
    inner = part.inner_size
    if part.kind == "short_conv":
        yield join(path, "conv.weight"), (inner, 1, part.conv_kernel), "state", "conv"
        yield from linear(join(path, "in_proj"), 3 * inner, hidden, "state", part.conv_bias)
        yield from linear(join(path, "out_proj"), hidden, inner, "state", part.conv_bias)
        if part.conv_bias:
            yield join(path, "conv.bias"), (inner,), "bias", "vector"
        return
    if part.kind == "kda":
        raise ValueError("the weights of a KDA layer have no formula here")
    yield join(path, "dt_bias"), (part.num_heads,), "state", "vector"
    yield join(path, "A_log"), (part.num_heads,), "state", "vector"
    yield join(path, "conv1d.weight"), (part.conv_channels, 1, part.conv_kernel), "state", "conv"
    if part.conv_bias:
        yield join(path, "conv1d.bias"), (part.conv_channels,), "bias", "vector"
    if part.kind == "mamba2":
        yield join(path, "D"), (part.num_heads,), "state", "vector"
        yield from linear(join(path, "in_proj"), inner + part.conv_channels + part.num_heads, hidden, "state")
        yield from norm(join(path, "norm"), inner, "rms")
    else:
        yield from delta_inputs(part, hidden, names)
        yield from norm(join(path, "norm"), part.head_dim, "rms")
    yield from linear(join(path, "out_proj"), hidden, inner, "state")


def delta_inputs(part: StateSpace, hidden: int, names: Names) -> Iterator[Part]:
    """Input projections of a gated delta net: query, key, value, gate z, and the two numbers b and a per head."""
    widths = [part.conv_channels, part.inner_size, part.num_heads, part.num_heads]
    if len(names.state_inputs) == 2:
        widths = [part.conv_channels + part.inner_size, 2 * part.num_heads]
    for module, out in zip(names.state_inputs, widths, strict=True):
        yield from linear(join(names.state, module), out, hidden, "state")


def layer(block: Block, hidden: int, names: Names) -> Iterator[Part]:
    """All tensors of one layer."""
    if block.attention:
        build = latent if block.attention.kind == "mla" else grouped_query
        yield from build(block.attention, hidden, names)
    if block.state:
        yield from state(block.state, hidden, names)
    if block.mlp:
        yield from mlp(block.mlp, hidden, names)
    if block.experts:
        yield from experts(block.experts, hidden, names)
    pair = block.parallel and block.num_norms == 2
    norms = (names.pair_of_norms if pair else ()) or names.norms
    for index in range(block.num_norms):
        yield from norm(norms[index] if index < len(norms) else f"norm_{index + 1}", hidden, block.norm)
    for extra in block.extra:
        yield extra.name, extra.shape, extra.role, extra.kind
    if block.extra_parameters:
        yield "counted", (block.extra_parameters,), "other", "counted"
