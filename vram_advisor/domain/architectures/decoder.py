"""Layers of the ordinary decoder: attention and a feed-forward layer, windows and mixtures by position."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.fields import MAX_LAYERS, Fields
from vram_advisor.domain.architectures.parts import (
    attention,
    drops,
    experts,
    flag,
    layer_types,
    mlp,
    num_layers,
    window,
)
from vram_advisor.domain.architectures.row import Architecture
from vram_advisor.domain.model import Attention, Block, Experts, Mlp


def windowed_layers(fields: Fields, row: Architecture, count: int) -> tuple[bool, ...]:
    """For each layer, whether it sees only a window."""
    types = layer_types(fields, count)
    if types is not None:
        return tuple(kind in ("sliding_attention", "chunked_attention") for kind in types)
    if row.window_period == 0:
        first = fields.integer_or(0, "max_window_layers", high=MAX_LAYERS)
        return tuple(index >= first for index in range(count))
    period = fields.integer_or(row.window_period or 1, "sliding_window_pattern", "no_rope_layer_interval", low=1)
    return tuple(bool((index + 1) % period) for index in range(count))


def unrotated_layers(fields: Fields, row: Architecture, count: int) -> frozenset[int]:
    """Layers without positions as SmolLM3 and Llama 4 list them (1: rotated, 0: not)."""
    listed = fields.integers("no_rope_layers", high=1)
    if not listed and row.unrotated_period:
        period = fields.integer_or(row.unrotated_period, "no_rope_layer_interval", low=1)
        return frozenset(range(period - 1, count, period))
    return frozenset(index for index, rotated in enumerate(listed or ()) if not rotated and index < count)


def mixture_layers(fields: Fields, row: Architecture, count: int) -> tuple[bool, ...]:
    """For each layer, whether its feed-forward layer is a mixture of experts."""
    mixture = row.mixture
    if mixture is None:
        return (False,) * count
    listed = fields.integers("moe_layers", high=MAX_LAYERS)
    if listed is not None:
        return tuple(index in listed for index in range(count))
    dense = frozenset(fields.integers("mlp_only_layers", high=MAX_LAYERS) or ())
    first = fields.integer_or(0, mixture.first_dense, high=MAX_LAYERS) if mixture.first_dense else 0
    last = fields.integer_or(-1, "moe_layer_end_index", low=-1, high=MAX_LAYERS)
    step = fields.integer_or(
        1, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval", "moe_layer_freq", low=1
    )
    return tuple(
        index >= first and (last < 0 or index <= last) and index not in dense and (index + 1) % step == 0
        for index in range(count)
    )


def decoder_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """The layers of a decoder whose rows differ only in window, positions and mixture."""
    count = num_layers(fields)
    plain = attention(fields, row)
    size = window(fields, row)
    windowed = windowed_layers(fields, row, count) if size is not None else (False,) * count
    mixed = mixture_layers(fields, row, count)
    unrotated = unrotated_layers(fields, row, count)
    dense = None if all(mixed) else mlp(fields, row)
    sparse = experts(fields, row, row.mixture) if row.mixture and any(mixed) else None
    blocks: dict[tuple[bool, bool, bool], Block] = {}
    layers = []
    for index in range(count):
        rotated = index not in unrotated and (row.rotary_in_full or windowed[index] or size is None)
        key = (windowed[index], mixed[index], rotated)
        if key not in blocks:
            part = replace(
                plain,
                sliding_window=size if windowed[index] else None,
                rotary_dim=plain.rotary_dim if rotated else 0,
            )
            blocks[key] = block(fields, row, part, None if mixed[index] else dense, sparse if mixed[index] else None)
        layers.append(blocks[key])
    return layers


def block(fields: Fields, row: Architecture, part: Attention, dense: Mlp | None, sparse: Experts | None) -> Block:
    """One layer with the norms of the row."""
    return Block(
        attention=part,
        mlp=dense,
        experts=sparse,
        num_norms=row.num_norms,
        norm=row.norm,
        parallel=flag(fields, row.parallel),
        dropout=drops(fields, row.residual_dropout),
    )
