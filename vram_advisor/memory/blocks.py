"""One block of a model, written onto a tape and played."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Block, ModelSpec, StateSpace
from vram_advisor.memory.attention import attention
from vram_advisor.memory.delta_net import delta_net
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.experts import experts
from vram_advisor.memory.feed_forward import mlp
from vram_advisor.memory.habits import Habits, habits
from vram_advisor.memory.latent_attention import latent_attention
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Profile, profile
from vram_advisor.memory.short_conv import short_conv
from vram_advisor.memory.side_by_side import side_by_side
from vram_advisor.memory.tape import Value


def write_block(t: LayerTape, x: Value, b: Block, h: Habits) -> Value:
    """One layer from residual stream to residual stream [T x hidden_size]."""
    if b.parallel:
        return parallel(t, x, b, h)
    if h.order == "sum":
        return normed_sums(t, x, b, h)
    before = h.order == "before"
    after = b.num_norms >= 4 or not before
    normed = norm(t, x, "input norm", b.norm) if before else x
    attended, held = attend(t, normed, b, h)
    if after:
        attended = norm(t, attended, "post-attention norm", b.norm)
    middle = add(t, x, attended, h, "hidden states after attention")
    normed = norm(t, middle, "MLP norm", b.norm) if before else middle
    fed = side_by_side(t, normed, middle, b, h) if b.mlp and b.experts else feed(t, normed, b, h)
    if after:
        fed = norm(t, fed, "post-MLP norm", b.norm)
    out = add(t, middle, fed, h, "hidden states")
    t.drop(middle, *held)
    if h.scaled_output:
        out = t.record("scaled hidden states", [out], out.rows, out.width, out.itemsize, view=True, slices=True)
    return out


def attend(t: LayerTape, x: Value, b: Block, h: Habits) -> tuple[Value, tuple[Value, ...]]:
    """Attention, and what the layer holds until its end."""
    if b.state is not None:
        return state_space(t, x, b.state, h), ()
    assert b.attention is not None
    if b.attention.kind == "mla":
        return latent_attention(t, x, b.attention, h), ()
    return attention(t, x, b.attention, h, b.norm, b.dropout)


def state_space(t: LayerTape, x: Value, s: StateSpace, h: Habits) -> Value:
    """A layer that keeps a state of fixed size."""
    return short_conv(t, x, s) if s.kind == "short_conv" else delta_net(t, x, s, h.fused_state)


def feed(t: LayerTape, x: Value, b: Block, h: Habits) -> Value:
    """The feed-forward layer and its dropout, or the mixture of experts."""
    if b.experts is not None:
        return experts(t, x, b.experts, h)
    assert b.mlp is not None
    fed = mlp(t, x, b.mlp)
    return t.dropout(fed, "MLP") if b.dropout else fed


def add(t: LayerTape, residual: Value, output: Value, h: Habits, label: str) -> Value:
    """The residual connection."""
    if h.scaled_residual:
        output = t.scale(output, f"{output.buffer.label} scaled")
    return t.add(residual, output, label)


def parallel(t: LayerTape, x: Value, b: Block, h: Habits) -> Value:
    """Attention and MLP of the same input, behind one norm or one each."""
    assert b.attention is not None and b.mlp is not None
    normed = norm(t, x, "input norm", b.norm)
    twice = b.num_norms == 2
    if twice and h.sum_in_place:
        second = norm(t, x, "MLP norm", b.norm)
    attended, held = attention(t, normed, b.attention, h, b.norm, b.dropout)
    if twice and not h.sum_in_place:
        second = norm(t, x, "MLP norm", b.norm)
    fed = mlp(t, second if twice else normed, b.mlp)
    if h.sum_in_place:
        fed = t.record("attention and MLP", [fed, attended], x.rows, x.width, fed.itemsize, view=True)
        if b.dropout:
            fed = t.dropout(fed, "output")
        out = t.add(x, fed, "hidden states")
    else:
        if b.dropout:
            fed = t.dropout(fed, "MLP")
        out = t.add(t.add(attended, fed, "attention and MLP"), x, "hidden states")
    t.drop(attended, fed, *held)
    return out


def normed_sums(t: LayerTape, x: Value, b: Block, h: Habits) -> Value:
    """BERT: the sum of output and residual is normed."""
    assert b.attention is not None and b.mlp is not None
    attended, held = attention(t, x, b.attention, h, b.norm, b.dropout)
    middle = norm(t, t.add(attended, x, "hidden states after attention"), "attention norm", b.norm)
    fed = feed(t, middle, b, h)
    out = norm(t, t.add(fed, middle, "hidden states"), "MLP norm", b.norm)
    t.drop(middle, *held)
    return out


@dataclass(frozen=True, slots=True)
class Played:
    """A layer after it has been played."""

    profile: Profile
    needs_grad: bool
    """The output needs a gradient."""
    saves_input: bool
    """The layer's own input is among what it saves."""
    copies: int
    """16-bit copies of trained weights that autocast keeps [B]."""
    kept_selectively: tuple[Amount, ...]
    """What selective checkpointing keeps besides the input."""
    pinned: tuple[Amount, ...]
    """What checkpointing does not drop."""


@lru_cache(maxsize=128)
def play_block(
    model: ModelSpec, block: Block, numerics: Numerics, input_needs_grad: bool, keep_gradients: bool
) -> Played:
    """Write a layer onto a tape and play it."""
    tape = LayerTape(numerics, keep_gradients)
    x = tape.value("layer input", "T", model.hidden_size, numerics.stream, input_needs_grad)
    h = habits(model.architecture)
    if not model.final_norm and h.order == "before":
        # Norms behind the sums leave nothing to norm behind the last layer (opt-350m).
        h = replace(h, order="sum")
    y = write_block(tape, x, block, h)
    gradient = Amount("gradient of hidden states", "T", model.hidden_size, numerics.stream, "gradient")
    return Played(
        profile(tape, x, y, gradient),
        y.needs_grad,
        any(x.buffer in operation.saved for operation in tape.operations),
        sum(copy.size[0] for copy in tape.autocast_copies),
        tape.kept_selectively(),
        tape.pinned(),
    )
