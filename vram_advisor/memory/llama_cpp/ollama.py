"""What Ollama chooses before it starts llama-server: context by the memory of the cards, batch by context and room.

Source: ollama v0.33.0 ``envconfig/config.go``, ``server/routes.go`` (default context), ``llm/llama_server.go``
(numBatchAuto), ``server/sched.go`` (PredictServerVRAM).
"""

from __future__ import annotations

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.units.bytes import GIB, MIB

TIERS = ((47 * GIB, 262_144), (23 * GIB, 32_768), (0, 4_096))
"""Memory of all cards from which a context is the default [B, tokens]."""
SMALL_BATCH, BATCH, LARGE_BATCH = 512, 1024, 2048
STEPS = ((LARGE_BATCH, 32_768, 0.60, 2 * GIB), (BATCH, 4_096, 0.75, 768 * MIB))
"""Batch, context above which it is tried, share of the free memory that the prediction may take, surcharge [B]."""
FULL = 0.8
"""Share of the free memory that prediction and surcharge may take together."""


def default_context(total_bytes: int, model: ModelSpec) -> int:
    """The context of a model where nobody asks for one [tokens]."""
    context = next(tokens for least, tokens in TIERS if total_bytes >= least)
    return min(context, model.max_position_embeddings or context)


def predicted_bytes(model: ModelSpec, file_bytes: int, context: int) -> int:
    """What Ollama expects a model to take: its file, and keys and values of every layer in 16 bits [B]."""
    heads = [b.attention for b in model.blocks if b.attention is not None]
    if not heads:
        return file_bytes
    fewest = min(a.num_key_value_heads for a in heads)
    width = model.hidden_size // heads[0].num_attention_heads
    return file_bytes + 2 * model.num_hidden_layers * fewest * width * context * 2


def batch_size(model: ModelSpec, file_bytes: int, context: int, device: Device | None, flash: bool = True) -> int:
    """num_batch, which is also the tokens computed together.

    Args:
        context: of all slots together [tokens].
        device: None: a card with room is assumed.
    """
    if not flash:
        small = device is not None and device.free_bytes <= 8 * GIB
        return 256 if small and context > 4096 else SMALL_BATCH
    predicted = predicted_bytes(model, file_bytes, context)
    for batch, above, share, surcharge in STEPS:
        if context > above:
            if device is None:
                return batch
            free = device.free_bytes
            if predicted <= share * free and predicted + surcharge <= FULL * free:
                return batch
    return SMALL_BATCH
