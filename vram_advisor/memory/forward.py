"""One layer in a pass without gradients: what is alive while it works.

Layers that training plays are played by the same rules, with nothing saved. The others are written down here, forward
only: states of fixed size, sparse attention, experts that see every token, layers of one part alone.

Source: transformers 5.23 ``models/*/modeling_*.py``, traced layer by layer.
"""

from __future__ import annotations

from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.memory.attention import attention
from vram_advisor.memory.blocks import play_block
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.feed_forward import mlp
from vram_advisor.memory.forward_experts import any_experts, is_routed_plainly
from vram_advisor.memory.forward_latent import sparse_attention
from vram_advisor.memory.forward_state import state_layer
from vram_advisor.memory.habits import habits
from vram_advisor.memory.latent_attention import latent_attention
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Moment, profile
from vram_advisor.memory.tape import Value


def is_played(model: ModelSpec, block: Block) -> bool:
    """Whether training plays such a layer: attention, and one MLP or one mixture of experts."""
    if block.attention is None or block.state is not None or block.attention.index_n_heads:
        return False
    if block.experts is None:
        return block.mlp is not None
    return block.mlp is None and is_routed_plainly(block.experts, model.architecture)


@lru_cache(maxsize=1024)
def forward_moments(model: ModelSpec, block: Block, numerics: Numerics, several: bool) -> tuple[Moment, ...]:
    """Moments of one layer without its input, which the caller holds; ``several``: more than one sequence."""
    if is_played(model, block):
        return play_block(model, block, numerics, False, True).profile.forgetful
    t = LayerTape(numerics)
    x = t.value("layer input", "T", model.hidden_size, numerics.stream, False)
    y = write_layer(t, x, block, model, several)
    return profile(t, x, y, None).forgetful


def beside(model: ModelSpec, numerics: Numerics) -> tuple[Amount, ...]:
    """What architectures with more than one stream hold while any of their layers works.

    Gemma 3n: four versions of the stream, their predictions and the other branch (AltUp, LAuReL), and the inputs of all
    layers made from a second embedding.
    """
    if model.architecture != "gemma3n_text":
        return ()
    found = [Amount("other versions of the hidden states", "T", model.hidden_size, numerics.stream, "activation", 20)]
    for extra in model.extra:
        if "per_layer" in extra.name and extra.kind == "embedding":
            found.append(Amount("inputs of the layers", "T", extra.shape[-1], numerics.stream, "activation"))
    return tuple(found)


def write_layer(t: LayerTape, x: Value, b: Block, model: ModelSpec, several: bool) -> Value:
    """One layer from residual stream to residual stream [T x hidden_size]; any of its parts may be missing."""
    mixes = b.attention is not None or b.state is not None
    feeds = b.mlp is not None or b.experts is not None
    twice = b.num_norms >= 4
    held: tuple[Value, ...] = ()
    if mixes:
        mixed, held = mix(t, norm(t, x, "input norm", b.norm), b, model, several)
        if twice:
            mixed = norm(t, mixed, "post-attention norm", b.norm)
        x = t.add(x, mixed, "hidden states after attention")
    if feeds:
        middle = x
        fed = feed(t, norm(t, middle, "MLP norm", b.norm), b, model)
        if twice:
            fed = norm(t, fed, "post-MLP norm", b.norm)
        x = t.add(middle, fed, "hidden states")
        t.drop(middle)
    t.drop(*held)
    return x


def mix(t: LayerTape, x: Value, b: Block, model: ModelSpec, several: bool) -> tuple[Value, tuple[Value, ...]]:
    """The part that looks at other tokens, and what the layer holds until its end."""
    if b.state is not None:
        return state_layer(t, x, b.state, model.architecture), ()
    assert b.attention is not None
    if b.attention.index_n_heads:
        return sparse_attention(t, x, b.attention, several), ()
    if b.attention.kind == "mla":
        return latent_attention(t, x, b.attention, habits(model.architecture)), ()
    return attention(t, x, b.attention, habits(model.architecture), b.norm, False)


def feed(t: LayerTape, x: Value, b: Block, model: ModelSpec) -> Value:
    """The feed-forward part: dense, experts, or both side by side (Gemma 4)."""
    h = habits(model.architecture)
    if b.experts is None:
        assert b.mlp is not None
        return mlp(t, x, b.mlp)
    if b.mlp is None:
        return any_experts(t, x, b.experts, model.architecture, h)
    dense = norm(t, mlp(t, x, b.mlp), "dense norm", b.norm)
    routed = any_experts(t, norm(t, x, "experts norm", b.norm), b.experts, model.architecture, h)
    out = t.add(dense, norm(t, routed, "routed norm", b.norm), "dense and experts")
    t.drop(dense)
    return out
