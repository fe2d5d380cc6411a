"""The parts of a layer, from a configuration and a row of the table."""

from vram_advisor.domain.architectures.fields import (
    HEAD_DIM,
    HEADS,
    HIDDEN,
    INTERMEDIATE,
    KV_HEADS,
    LAYERS,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_TOKENS,
    Fields,
)
from vram_advisor.domain.architectures.row import Architecture, Flag, Mixture, Width
from vram_advisor.domain.model import Activation, Attention, Experts, Mlp
from vram_advisor.units.errors import NotModelled

ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_fast",
    "gelu_bloom": "gelu_bloom",
    "relu": "relu",
    "relu2": "relu2",
}


def flag(fields: Fields, value: Flag) -> bool:
    """A fact of the architecture, or what the named field says."""
    return value if isinstance(value, bool) else fields.flag(*value)


def width(fields: Fields, value: Width) -> int:
    """A fact of the architecture, or the number in the named field; 0 where it is left out."""
    return value if isinstance(value, int) else fields.integer_or(0, value)


def drops(fields: Fields, rate: tuple[str, float] | None) -> bool:
    """Whether training drops something out: the field of the rate, and what the class assumes."""
    if rate is None:
        return False
    given = fields.number(rate[0])
    return (rate[1] if given is None else given) > 0


def num_layers(fields: Fields) -> int:
    """Number of layers."""
    return fields.integer(*LAYERS, high=MAX_LAYERS)


def hidden_size(fields: Fields) -> int:
    """Width of the residual stream [elements]."""
    return fields.integer(*HIDDEN)


def activation(fields: Fields, row: Architecture) -> Activation:
    """Activation of the feed-forward layers."""
    name = (
        fields.text("hidden_activation", "hidden_act", "activation_function", "mlp_hidden_act", "activation")
        or row.activation
    )
    if name not in ACTIVATIONS:
        raise NotModelled(
            f"{fields.where}: the activation {name[:40]!r} is not modelled, only {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def heads(fields: Fields, multi_head: bool = False) -> tuple[int, int, int]:
    """Query heads, key heads and width of a head."""
    hidden = hidden_size(fields)
    count = fields.integer(*HEADS, high=MAX_HEADS)
    kv = count if multi_head else fields.integer_or(count, *KV_HEADS, low=1, high=MAX_HEADS)
    if count % kv:
        raise fields.wrong(fields.get(*KV_HEADS)[0], kv, f"a divisor of the {count} attention heads")
    head_dim = fields.optional_integer(*HEAD_DIM)
    if head_dim is None:
        if hidden % count:
            expected = f"a divisor of the hidden size {hidden:,}, or head_dim given"
            raise fields.wrong(fields.get(*HEADS)[0], count, expected)
        head_dim = hidden // count
    return count, kv, head_dim


def rotary_share(fields: Fields, default: float) -> float:
    """Rotated share of a head."""
    for source in (fields, fields.inside("rope_parameters"), fields.inside("rope_scaling")):
        share = source.number("partial_rotary_factor", "rotary_pct", "rope_pct")
        if share is not None:
            return min(max(share, 0.0), 1.0)
    return default


def grouped_query(fields: Fields, row: Architecture) -> Attention:
    """Multi-head, grouped-query or multi-query attention without a window."""
    count, kv, head_dim = heads(fields, row.multi_head)
    qk_norm = row.qk_norm
    if row.qk_norm_field and not fields.flag(*row.qk_norm_field):
        qk_norm = "none"
    rotary = fields.optional_integer("rotary_dim", low=0) if row.rotary else 0
    if rotary is None:
        rotary = int(head_dim * rotary_share(fields, row.rotary))
    return Attention(
        num_attention_heads=count,
        num_key_value_heads=kv,
        head_dim=head_dim,
        v_head_dim=head_dim,
        modules=row.attention_modules,
        qkv_bias=flag(fields, row.qkv_bias),
        output_bias=flag(fields, row.output_bias),
        qk_norm=qk_norm,
        rotary_dim=min(rotary, head_dim),
        softcapping=bool(row.softcapping) and fields.number(row.softcapping) is not None,
        sinks=row.sinks,
        dropout=drops(fields, row.attention_dropout),
    )


def latent(fields: Fields, row: Architecture) -> Attention:
    """Multi-head latent attention (DeepSeek V2 and V3), with the indexer of V3.2 where the fields are there."""
    count = fields.integer(*HEADS, high=MAX_HEADS)
    nope = fields.integer("qk_nope_head_dim")
    rope = fields.integer("qk_rope_head_dim")
    q_lora_rank = fields.optional_integer("q_lora_rank", low=0)
    bias = flag(fields, row.qkv_bias)
    return Attention(
        num_attention_heads=count,
        num_key_value_heads=fields.integer_or(count, *KV_HEADS, low=1, high=MAX_HEADS),
        head_dim=nope + rope,
        v_head_dim=fields.integer("v_head_dim"),
        kind="mla",
        qkv_bias=bias,
        output_bias=bias,
        rotary_dim=rope,
        q_lora_rank=q_lora_rank or None,
        kv_lora_rank=fields.integer("kv_lora_rank"),
        qk_rope_head_dim=rope,
        qk_nope_head_dim=nope,
        index_n_heads=fields.optional_integer("index_n_heads", high=MAX_HEADS),
        index_head_dim=fields.optional_integer("index_head_dim"),
    )


def attention(fields: Fields, row: Architecture) -> Attention:
    """Attention of the kind that the row names."""
    return latent(fields, row) if row.mla else grouped_query(fields, row)


def window(fields: Fields, row: Architecture) -> int | None:
    """Sliding or chunked window [tokens]; None: the layers see everything."""
    if row.window_period is None or (row.window_switch and not fields.flag(row.window_switch, False)):
        return None
    return fields.optional_integer("sliding_window", "attention_chunk_size", high=MAX_TOKENS)


def mlp(fields: Fields, row: Architecture) -> Mlp:
    """The dense feed-forward layer."""
    own = row.intermediate
    intermediate = own(fields, hidden_size(fields)) if own else fields.integer(*INTERMEDIATE)
    return Mlp(
        intermediate_size=intermediate,
        gated=row.gated,
        bias=flag(fields, row.mlp_bias),
        activation=activation(fields, row),
        modules=row.mlp_modules,
    )


def experts(fields: Fields, row: Architecture, mixture: Mixture) -> Experts:
    """The mixture of experts."""
    num_experts = fields.integer(*mixture.num_experts, high=MAX_HEADS)
    per_token = fields.integer(*mixture.per_token, high=MAX_HEADS)
    if per_token > num_experts:
        raise fields.wrong(fields.get(*mixture.per_token)[0], per_token, f"at most the {num_experts} experts")
    moe_width = fields.integer(*mixture.width)
    shared = width(fields, mixture.shared_width) or width(fields, mixture.shared_count) * moe_width
    return Experts(
        num_experts=num_experts,
        num_experts_per_tok=per_token,
        moe_intermediate_size=moe_width,
        shared_expert_intermediate_size=shared,
        shared_expert_gate=mixture.shared_gate and shared > 0,
        router_bias=mixture.router_bias,
        correction_bias=mixture.correction_bias,
        gated=row.gated,
        bias=mixture.bias,
        activation=activation(fields, row),
    )


def layer_types(fields: Fields, count: int) -> tuple[str, ...] | None:
    """Kind of each layer as newer configurations list it."""
    return fields.texts("layer_types", "layers_block_type", length=count)
