"""One step of generation: what one layer needs beside the cache while it works on the next token.

Source: transformers 5.23 ``cache_utils.py`` (DynamicLayer, DynamicSlidingWindowLayer, StaticLayer, QuantizedLayer),
``integrations/sdpa_attention.py`` (repeat_kv where there is a mask), ``models/deepseek_v3`` (expand_kv), traced.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention, Block, ModelSpec
from vram_advisor.memory.forward_latent import unfolded
from vram_advisor.memory.habits import habits
from vram_advisor.memory.kv_cache import Cached, CacheForm, key_value_widths
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.scores import kernel

STATE_COPIES = {"gated_delta_net": 3, "kda": 3, "mamba2": 4}
"""fp32 copies of a recurrent state while it is updated (reference code of transformers)."""
CAT = "transformers cache_utils.py DynamicLayer.update: torch.cat"


@lru_cache(maxsize=512)
def step_moments(model: ModelSpec, form: CacheForm, numerics: Numerics, grown: bool) -> tuple[Cached, ...]:
    """Every layer kind's needs for one token at the end of the context; the worst of them counts.

    ``grown``: the cache is copied into a longer one; otherwise it was allocated at its full length.
    """
    found: dict[Cached, None] = {}
    for kind in dict.fromkeys(model.layer_kinds):
        found |= dict.fromkeys(block_moments(model, model.blocks[kind], form, numerics, grown))
    return tuple(found)


def block_moments(model: ModelSpec, b: Block, form: CacheForm, n: Numerics, grown: bool) -> Iterator[Cached]:
    """Moments of one kind of layer."""
    if b.state is not None and b.state.kind in STATE_COPIES:
        copies = STATE_COPIES[b.state.kind]
        state = Amount(
            "recurrent state while it is updated", "T", b.state.inner_size * b.state.state_size, 4, "workspace", copies
        )
        yield Cached(
            "working_set", "a state at work", (state,), 1, "transformers models/qwen3_5, models/granitemoehybrid"
        )
    a = b.attention
    if a is None or a.kv_shared:
        return
    if a.kind == "mla":
        yield latent_moment(a, form)
        return
    key, value = key_value_widths(a, form)
    if form.key or form.value:
        copies_of = (
            Amount("keys and values dequantised, then joined", "T", key + value, form.itemsize, "workspace", 2),
        )
        yield Cached(
            "working_set",
            "the cache of a layer dequantised",
            copies_of,
            None,
            "transformers cache_utils.py QuantizedLayer.update",
        )
    elif grown and a.sliding_window is not None and form.windows:
        both = (Amount("keys and values of a layer with one token more", "T", key + value, form.itemsize, "workspace"),)
        yield Cached("working_set", "the window of a layer copied", both, a.sliding_window, CAT)
    elif grown:
        one = (Amount("keys of a layer with one token more", "T", max(key, value), form.itemsize, "workspace"),)
        yield Cached("working_set", "the cache of a layer copied", one, None, CAT)
    if ((n.sdpa and n.padded) or kernel(n, a, habits(model.architecture)) == "eager") and key < a.query_size:
        limit = a.sliding_window if form.windows else None
        every = (
            Amount(
                "keys and values for every query head", "T", a.query_size + a.output_size, form.itemsize, "workspace"
            ),
        )
        yield Cached(
            "working_set",
            "keys and values repeated",
            every,
            limit,
            "transformers integrations/sdpa_attention.py repeat_kv",
        )


def latent_moment(a: Attention, form: CacheForm) -> Cached:
    """Heads unfolded from the latents of every token of the context."""
    wide, keys = unfolded(a)
    amounts = [
        Amount("keys and values unfolded", "T", wide, form.itemsize, "workspace"),
        Amount("keys with their rotated part", "T", keys, form.itemsize, "workspace"),
    ]
    if a.index_head_dim:
        amounts.append(Amount("keys of the indexer in fp32", "T", a.index_head_dim, 4, "workspace"))
    return Cached(
        "working_set", "latents of a layer unfolded", tuple(amounts), None, "transformers models/deepseek_v3 expand_kv"
    )
