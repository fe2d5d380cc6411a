"""One block of a model, written onto a tape and played."""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.memory.attention import attention
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.feed_forward import mlp
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.tape import Profile, Value


def write_block(t: LayerTape, x: Value, b: Block) -> Value:
    """One decoder layer from residual stream to residual stream [T x hidden_size]."""
    normed = norm(t, x, "input norm", b.norm)
    assert b.attention is not None and b.mlp is not None
    attended = attention(t, normed, b.attention)
    if b.num_norms == 4:
        attended = norm(t, attended, "post-attention norm", b.norm)
    if b.parallel:
        fed = mlp(t, normed, b.mlp)
        both = t.add(attended, fed, "attention and MLP")
        return t.add(both, x, "hidden states")
    middle = t.add(x, attended, "hidden states after attention")
    normed2 = norm(t, middle, "MLP norm", b.norm)
    fed = mlp(t, normed2, b.mlp)
    if b.num_norms == 4:
        fed = norm(t, fed, "post-MLP norm", b.norm)
    return t.add(middle, fed, "hidden states")


@dataclass(frozen=True, slots=True)
class Played:
    """A layer after it has been played."""

    profile: Profile
    saves_input: bool
    """The layer's own input is among what it saves."""
    copies: int
    """16-bit copies of trained weights that autocast keeps [B]."""
    kept_selectively: tuple[Amount, ...]
    """What selective checkpointing keeps besides the input."""


def play_block(
    model: ModelSpec, block: Block, numerics: Numerics, input_needs_grad: bool, keep_gradients: bool
) -> Played:
    """Write a layer onto a tape and play it."""
    tape = LayerTape(numerics, keep_gradients)
    x = tape.value("layer input", "T", model.hidden_size, numerics.stream, input_needs_grad)
    y = write_block(tape, x, block)
    gradient = Amount("gradient of hidden states", "T", model.hidden_size, numerics.stream, "gradient")
    return Played(
        tape.profile(x, y, gradient),
        any(x.buffer in operation.saved for operation in tape.operations),
        sum(copy.size[0] for copy in tape.autocast_copies),
        tape.kept_selectively(),
    )
