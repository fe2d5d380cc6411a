"""Layers of Gemma 3n and 4: per-layer inputs, AltUp streams, caches shared by the last layers."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import windowed_layers
from vram_advisor.domain.architectures.fields import INTERMEDIATE, MAX_HEADS, MAX_LAYERS, MAX_ROWS, Fields
from vram_advisor.domain.architectures.parts import attention, experts, hidden_size, mlp, num_layers, window
from vram_advisor.domain.architectures.row import Architecture, Mixture
from vram_advisor.domain.model import Attention, Block, ExtraTensor


def per_layer_gate(hidden: int, width: int) -> tuple[ExtraTensor, ...]:
    """Gate, projection and norm of the per-layer input."""
    return (
        ExtraTensor("per_layer_input_gate.weight", (width, hidden)),
        ExtraTensor("per_layer_projection.weight", (hidden, width)),
        ExtraTensor("post_per_layer_input_norm.weight", (hidden,), "norm", "vector"),
    )


def per_layer_table(fields: Fields, hidden: int, layers: int) -> tuple[ExtraTensor, ...]:
    """The table of per-layer inputs and what makes them, outside the layers."""
    width = fields.integer_or(0, "hidden_size_per_layer_input")
    if not width:
        return ()
    rows = fields.integer("vocab_size_per_layer_input", high=MAX_ROWS)
    return (
        ExtraTensor("model.embed_tokens_per_layer.weight", (rows, layers * width), "embedding", "embedding"),
        ExtraTensor("model.per_layer_model_projection.weight", (layers * width, hidden)),
        ExtraTensor("model.per_layer_projection_norm.weight", (width,), "norm", "vector"),
    )


def gemma3n_extra(fields: Fields, hidden: int, layers: int) -> Sequence[ExtraTensor]:
    """Per-layer table, and the projections between the AltUp streams."""
    streams = fields.integer_or(4, "altup_num_inputs", low=1, high=64)
    projections = tuple(
        ExtraTensor(f"model.{name}.{index}.weight", (hidden, hidden))
        for name in ("altup_projections", "altup_unembed_projections")
        for index in range(streams - 1)
    )
    return per_layer_table(fields, hidden, layers) + projections


def altup(fields: Fields, hidden: int) -> tuple[ExtraTensor, ...]:
    """Weights that Gemma 3n adds to a layer: AltUp, LAuReL and the per-layer input."""
    streams = fields.integer_or(4, "altup_num_inputs", low=1, high=64)
    rank = fields.integer_or(64, "laurel_rank", low=1)
    width = fields.integer("hidden_size_per_layer_input")
    return (
        ExtraTensor("altup.correct_output_scale", (hidden,), "other", "vector"),
        ExtraTensor("altup.correction_coefs.weight", (streams, streams)),
        ExtraTensor("altup.prediction_coefs.weight", (streams * streams, streams)),
        ExtraTensor("altup.modality_router.weight", (streams, hidden)),
        ExtraTensor("altup.router_norm.weight", (hidden,), "norm", "vector"),
        ExtraTensor("laurel.linear_left.weight", (rank, hidden)),
        ExtraTensor("laurel.linear_right.weight", (hidden, rank)),
        ExtraTensor("laurel.post_laurel_norm.weight", (hidden,), "norm", "vector"),
        *per_layer_gate(hidden, width),
    )


def first_shared(fields: Fields, layers: int) -> int:
    """First layer that reads the cache of an earlier one."""
    return layers - min(fields.integer_or(0, "num_kv_shared_layers", high=MAX_LAYERS), layers)


def cached(blocks: dict[Block, Block], block: Block) -> Block:
    """One object for equal layers."""
    return blocks.setdefault(block, block)


def gemma3n_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Gemma 3n: windows, a shared cache in the last layers, AltUp streams."""
    layers = num_layers(fields)
    hidden = hidden_size(fields)
    windowed = windowed_layers(fields, row, layers)
    listed = fields.values.get("intermediate_size")
    widths = fields.integers("intermediate_size") if isinstance(listed, list) else None
    if widths is not None and len(widths) != layers:
        raise fields.wrong("intermediate_size", listed, f"one width or {layers} of them")
    plain = attention(fields, row)
    size = window(fields, row)
    extra = altup(fields, hidden)
    shared = first_shared(fields, layers)
    seen: dict[Block, Block] = {}
    result = []
    for index in range(layers):
        width = widths[index] if widths else fields.integer(*INTERMEDIATE)
        part = replace(plain, sliding_window=size if windowed[index] else None, kv_shared=index >= shared)
        dense = mlp(Fields({**fields.values, "intermediate_size": width}, fields.where, fields.defaults), row)
        result.append(cached(seen, Block(attention=part, mlp=dense, num_norms=4, extra=extra)))
    return result


def gemma4_full(fields: Fields, plain: Attention) -> Attention:
    """Attention of Gemma 4's layers that see everything: wider heads, fewer of them, k may double as v."""
    head_dim = fields.integer_or(512, "global_head_dim", low=1)
    k_is_v = fields.flag("attention_k_eq_v", False)
    kv = plain.num_key_value_heads
    if k_is_v:
        kv = fields.integer_or(kv, "num_global_key_value_heads", low=1, high=MAX_HEADS)
    return replace(
        plain,
        num_key_value_heads=kv,
        head_dim=head_dim,
        v_head_dim=head_dim,
        rotary_dim=head_dim // 4,
        k_is_v=k_is_v,
    )


def gemma4_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Gemma 4: windows, wider heads in full layers, shared caches, experts beside the MLP in some sizes."""
    layers = num_layers(fields)
    hidden = hidden_size(fields)
    windowed = windowed_layers(fields, row, layers)
    plain = attention(fields, row)
    full = gemma4_full(fields, plain)
    size = window(fields, row)
    shared = first_shared(fields, layers)
    dense = mlp(fields, row)
    wide = replace(dense, intermediate_size=2 * dense.intermediate_size)
    double = fields.flag("use_double_wide_mlp", False)
    sparse = experts(fields, row, Mixture()) if fields.flag("enable_moe_block", False) else None
    width = fields.integer_or(0, "hidden_size_per_layer_input")
    extra = per_layer_gate(hidden, width) if width else ()
    if sparse:
        extra += (
            ExtraTensor("router.scale", (hidden,), "router", "vector"),
            ExtraTensor("router.per_expert_scale", (sparse.num_experts,), "router", "vector"),
        )
    seen: dict[Block, Block] = {}
    result = []
    for index in range(layers):
        # the class forces the last layer to see everything
        sliding = windowed[index] and index < layers - 1
        part = replace(plain if sliding else full, sliding_window=size if sliding else None, kv_shared=index >= shared)
        block = Block(
            attention=part,
            mlp=wide if double and index >= shared else dense,
            experts=sparse,
            num_norms=7 if sparse else 4,
            norm=row.norm,
            extra=extra,
        )
        result.append(cached(seen, block))
    return result
