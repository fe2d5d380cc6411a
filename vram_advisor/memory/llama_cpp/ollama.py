"""What Ollama chooses before it starts llama-server: context by the memory of the cards, batch by context and room.

Its server is set by its own environment, not by that of the program that asks it.

Source: ollama v0.33.0 ``envconfig/config.go``, ``server/routes.go`` (default context), ``llm/llama_server.go``
(numBatchAuto), ``server/sched.go`` (PredictServerVRAM).
"""

from __future__ import annotations

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.errors import BadInput

TIERS = ((47 * GIB, 262_144), (23 * GIB, 32_768), (0, 4_096))
"""Memory of all cards from which a context is the default [B, tokens]."""
SMALL_BATCH, BATCH, LARGE_BATCH = 512, 1024, 2048
STEPS = ((LARGE_BATCH, 32_768, 0.60, 2 * GIB), (BATCH, 4_096, 0.75, 768 * MIB))
"""Batch, context above which it is tried, share of the free memory that the prediction may take, surcharge [B]."""
FULL = 0.8
"""Share of the free memory that prediction and surcharge may take together."""

ONE_SLOT = frozenset(
    (
        "qwen3_vl_text", "qwen3_vl_moe_text", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "lfm2", "lfm2_moe",
        "nemotron_h",
    )
)  # fmt: skip
"""Architectures that it runs with one slot, whatever OLLAMA_NUM_PARALLEL says."""
NOT_ITS_OPTIONS = ("n_cpu_moe", "cpu_moe", "override_tensor", "tensor_split", "swa_full", "model_draft")
"""Options of llama.cpp that it does not pass on."""


def refuse(model: ModelSpec, plan: Plan, slots: int) -> None:
    """What Ollama cannot be asked for.

    Raises:
        BadInput: an option that it has not, two types of cache, several slots of a model that gets one.
    """
    unset = Plan()
    for name in NOT_ITS_OPTIONS:
        if getattr(plan, name) != getattr(unset, name):
            raise BadInput(
                f"Ollama has no --{name.replace('_', '-')}: use --runtime llama.cpp, or --n-gpu-layers (num_gpu)."
            )
    if plan.cache_type_k != plan.cache_type_v:
        raise BadInput(
            "Ollama has one type for keys and values (OLLAMA_KV_CACHE_TYPE): "
            "set --cache-type-k and --cache-type-v to the same."
        )
    if slots > 1 and model.architecture in ONE_SLOT:
        raise BadInput(f"Ollama runs {model.id} with one slot: use --num-sequences 1, or --runtime llama.cpp.")


def environment(options: LlamaCppOptions, model: ModelSpec, device: Device | None) -> dict[str, str]:
    """The settings of Ollama's server that differ from its defaults, by name."""
    context = options.n_ctx // options.n_parallel
    found = {}
    cards = max(1, options.num_gpus)
    if device is None or context != default_context(device.total_bytes * cards, model):
        found["OLLAMA_CONTEXT_LENGTH"] = str(context)
    if options.n_parallel > 1:
        found["OLLAMA_NUM_PARALLEL"] = str(options.n_parallel)
    if options.flash_attn != "auto":
        found["OLLAMA_FLASH_ATTENTION"] = "1" if options.flash_attn == "on" else "0"
    if options.cache_type_k != "f16":
        found["OLLAMA_KV_CACHE_TYPE"] = options.cache_type_k
    return found


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
