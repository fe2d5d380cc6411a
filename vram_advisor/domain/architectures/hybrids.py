"""Decoders in which some layers keep a state of fixed size instead of a growing cache."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import mixture_layers
from vram_advisor.domain.architectures.fields import MAX_HEADS, MAX_LAYERS, Fields
from vram_advisor.domain.architectures.llama_like import ATTENTION_BIAS, checked
from vram_advisor.domain.architectures.parts import (
    attention,
    experts,
    layer_types,
    mlp,
    num_layers,
)
from vram_advisor.domain.architectures.row import Architecture, Mixture, Names
from vram_advisor.domain.architectures.states import delta_net, mamba2, short_conv
from vram_advisor.domain.model import Block

QWEN_STATE = Mixture(shared_width="shared_expert_intermediate_size", shared_gate=True)
STATE_LAYERS = frozenset({"linear_attention", "mamba", "conv"})


def every_fourth_full(fields: Fields, count: int) -> tuple[bool, ...]:
    """For each layer, whether it keeps a state; otherwise it is attention."""
    types = layer_types(fields, count)
    if types is not None:
        return tuple(kind in STATE_LAYERS for kind in types)
    period = fields.integer_or(4, "full_attention_interval", low=1, high=MAX_LAYERS)
    return tuple(bool((index + 1) % period) for index in range(count))


def qwen_hybrid_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Gated delta nets with a gated attention layer in every fourth place."""
    count = num_layers(fields)
    kept = every_fourth_full(fields, count)
    mixed = mixture_layers(fields, row, count)
    full = replace(attention(fields, row), output_gate=True)
    state = delta_net(fields)
    sparse = experts(fields, row, row.mixture) if row.mixture and any(mixed) else None
    dense = None if all(mixed) else mlp(fields, row)
    blocks = {
        (keeps, mixes): Block(
            attention=None if keeps else full,
            state=state if keeps else None,
            mlp=None if mixes else dense,
            experts=sparse if mixes else None,
            norm=row.norm,
        )
        for keeps in (True, False)
        for mixes in (True, False)
    }
    return [blocks[keeps, mixes] for keeps, mixes in zip(kept, mixed, strict=True)]


def granite_hybrid_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Granite 4: Mamba-2 or attention by position, a shared MLP, and experts in some sizes."""
    count = num_layers(fields)
    types = layer_types(fields, count) or ("mamba",) * count
    kept = [kind in STATE_LAYERS for kind in types]
    rotary = fields.text("position_embedding_type") == "rope"
    full = attention(fields, row)
    full = full if rotary else replace(full, rotary_dim=0)
    state = mamba2(fields) if any(kept) else None
    shared = fields.integer("shared_intermediate_size")
    sparse = None
    dense = None
    if fields.integer_or(0, "num_local_experts", high=MAX_HEADS):
        sparse = experts(fields, row, Mixture(shared_width="shared_intermediate_size"))
    else:
        dense = mlp(Fields({**fields.values, "intermediate_size": shared}, fields.where, fields.defaults), row)
    blocks = {
        keeps: Block(attention=None if keeps else full, state=state if keeps else None, mlp=dense, experts=sparse)
        for keeps in (True, False)
    }
    return [blocks[keeps] for keeps in kept]


def lfm2_width(fields: Fields, hidden: int) -> int:
    """Width of LFM2's MLP: two thirds of the stated size, rounded up to a multiple, unless adjustment is off."""
    width = fields.integer("block_ff_dim", "intermediate_size")
    if not fields.flag("block_auto_adjust_ff_dim", True):
        return width
    multiplier = fields.number("block_ffn_dim_multiplier")
    width = int((1.0 if multiplier is None else multiplier) * int(2 * width / 3))
    multiple = fields.integer_or(256, "block_multiple_of", low=1)
    return multiple * ((width + multiple - 1) // multiple)


def lfm2_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """LFM2: short convolutions, attention in a few places."""
    count = num_layers(fields)
    types = layer_types(fields, count)
    places = fields.integers("full_attn_idxs", high=MAX_LAYERS)
    full = (
        [kind not in STATE_LAYERS for kind in types]
        if types is not None
        else [places is None or index in places for index in range(count)]
    )
    mixed = mixture_layers(fields, row, count)
    sparse = experts(fields, row, row.mixture) if row.mixture and any(mixed) else None
    dense = None if all(mixed) else mlp(fields, row)
    blocks = {
        (sees, mixes): Block(
            attention=attention(fields, row) if sees else None,
            state=None if sees else short_conv(fields),
            mlp=None if mixes else dense,
            experts=sparse if mixes else None,
        )
        for sees in (True, False)
        for mixes in (True, False)
    }
    return [blocks[sees, mixes] for sees, mixes in zip(full, mixed, strict=True)]


def mamba2_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Mamba-2 in every layer, nothing else."""
    return [Block(state=mamba2(fields), num_norms=row.num_norms)] * num_layers(fields)


LFM2 = Architecture(
    "lfm2",
    checked("lfm2"),
    lfm2_layers,
    names=Names(
        final_norm="model.embedding_norm",
        norms=("operator_norm", "ffn_norm"),
        qk_norms=("q_layernorm", "k_layernorm"),
        mlp="feed_forward",
        router="feed_forward.gate",
        experts="feed_forward.experts",
        state="conv",
    ),
    tied=True,
    attention_modules=("q_proj", "k_proj", "v_proj", "out_proj"),
    qk_norm="head",
    mlp_modules=("w1", "w3", "w2"),
    intermediate=lfm2_width,
)

HYBRIDS = (
    Architecture(
        "qwen3_next",
        checked("qwen3_next"),
        qwen_hybrid_layers,
        names=Names(shared="mlp.shared_expert", state_inputs=("in_proj_qkvz", "in_proj_ba")),
        norm="rms_plus_one",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        rotary=0.25,
        mixture=QWEN_STATE,
        defaults={"head_dim": 256},
    ),
    Architecture(
        "qwen3_5_text",
        checked("qwen3_5"),
        qwen_hybrid_layers,
        names=Names(state_inputs=("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a")),
        norm="rms_plus_one",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        rotary=0.25,
        defaults={"head_dim": 256},
    ),
    Architecture(
        "qwen3_5_moe_text",
        checked("qwen3_5_moe"),
        qwen_hybrid_layers,
        names=Names(shared="mlp.shared_expert", state_inputs=("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a")),
        norm="rms_plus_one",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        rotary=0.25,
        mixture=QWEN_STATE,
        defaults={"head_dim": 256},
    ),
    Architecture(
        "granitemoehybrid",
        checked("granitemoehybrid"),
        granite_hybrid_layers,
        names=Names(
            mlp="shared_mlp",
            router="block_sparse_moe.router",
            experts="block_sparse_moe.experts",
            shared="shared_mlp",
            shared_modules=("input_linear", "input_linear", "output_linear"),
            state="mamba",
        ),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mlp_modules=("input_linear", "input_linear", "output_linear"),
    ),
    Architecture(
        "mamba2",
        checked("mamba2"),
        mamba2_layers,
        names=Names(
            layers="backbone.layers.{layer}",
            embedding="backbone.embeddings",
            final_norm="backbone.norm_f",
            norms=("norm",),
            state="mixer",
        ),
        num_norms=1,
        defaults={"n_groups": 8, "conv_kernel": 4},
    ),
    LFM2,
    replace(
        LFM2,
        model_type="lfm2_moe",
        evidence=checked("lfm2_moe"),
        intermediate=None,
        mixture=Mixture(first_dense="num_dense_layers", correction_bias=True),
    ),
)
