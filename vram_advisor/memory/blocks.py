"""Plays one block of a model."""

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.memory.layers import LayerTape, Numerics
from vram_advisor.memory.tape import Profile


def play_block(
    model: ModelSpec, block: Block, numerics: Numerics, input_needs_grad: bool, keep_gradients: bool, checkpointing: str
) -> tuple[Profile, bool, int]:
    """The profile of a layer, whether it saves its own input, and the 16-bit weight copies that autocast keeps [B]."""
    tape = LayerTape(numerics, keep_gradients)
    x = tape.value("layer input", "T", model.hidden_size, numerics.stream, input_needs_grad)
    y = tape.block(x, block)
    gradient = Amount("gradient of hidden states", "T", model.hidden_size, numerics.stream, "gradient")
    profile = tape.profile(x, y, gradient)
    source_saved = any(x.buffer in operation.saved for operation in tape.operations)
    return profile, source_saved, sum(copy.size[0] for copy in tape.autocast_copies)
