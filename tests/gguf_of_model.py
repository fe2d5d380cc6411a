"""Writes the GGUF file of a model as llama.cpp expects it: metadata from its dimensions, the weights a hole."""

from pathlib import Path
from typing import Any

from gguf_files import write_gguf

from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES
from vram_advisor.domain.model import Attention, Block, Experts, ModelSpec, StateSpace

DELTA = frozenset(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"))
"""Architectures that state the key heads of their attention layers as one number."""
ANY_EPSILON, ANY_SCALE = 1e-5, 0.5


def write_model(model: ModelSpec, path: Path, file_type: str) -> Path:
    """The file of a model."""
    tensors = [(t.name, t.shape, t.dtype) for t in gguf_tensors(model, file_type)]
    return write_gguf(path, metadata(model), tensors)


def metadata(model: ModelSpec) -> dict[str, object]:
    """Keys of the file."""
    name = GGUF_ARCHITECTURES[model.architecture]
    layers = [model.blocks[kind] for kind in model.layer_kinds]
    keys: dict[str, Any] = {
        "block_count": len(layers),
        "context_length": model.max_position_embeddings or 4096,
        "embedding_length": model.hidden_size,
        "vocab_size": model.vocab_size,
        "attention.layer_norm_rms_epsilon": ANY_EPSILON,
        "attention.layer_norm_epsilon": ANY_EPSILON,
        "feed_forward_length": feed_forward(layers),
        **attention_keys(model, layers),
    }
    experts = next((block.experts for block in layers if block.experts), None)
    state = next((block.state for block in layers if block.state), None)
    if experts:
        keys |= expert_keys(experts, layers)
    if state:
        keys |= state_keys(state, layers)
    if model.logit_softcapping:
        keys["final_logit_softcapping"] = 30.0
    if model.architecture == "gemma2":
        keys["attn_logit_softcapping"] = 50.0
    if model.architecture == "granite":
        keys |= dict.fromkeys(("attention.scale", "embedding_scale", "residual_scale", "logit_scale"), ANY_SCALE)
    header = {"general.architecture": name, "tokenizer.ggml.model": "none"}
    return header | {f"{name}.{key}": value for key, value in keys.items()}


def one_or_each(values: list[int]) -> int | list[int]:
    """A number for all layers, or one for each."""
    return values[0] if len(set(values)) == 1 else values


def feed_forward(layers: list[Block]) -> int | list[int]:
    """Widths of the dense feed-forward layers, of the experts where there are none."""
    widths = [block.mlp.intermediate_size for block in layers if block.mlp]
    if widths:
        return one_or_each([block.mlp.intermediate_size if block.mlp else widths[0] for block in layers])
    return next((block.experts.moe_intermediate_size for block in layers if block.experts), 0)


def attention_keys(model: ModelSpec, layers: list[Block]) -> dict[str, Any]:
    """Heads, windows and rotation."""
    parts = [block.attention for block in layers]
    found = [part for part in parts if part]
    if not found:
        return {}
    full = next((part for part in found if not part.sliding_window), found[0])
    window = next((part for part in found if part.sliding_window), None)
    shared = 1 if full.kind == "mla" else full.num_key_value_heads
    keys = {
        "attention.head_count": one_or_each([part.num_attention_heads for part in found]),
        "attention.head_count_kv": shared
        if model.architecture in DELTA
        else one_or_each([shared if part else 0 for part in parts]),
        "rope.freq_base": 10000.0,
    }
    keys |= latent_keys(full) if full.kind == "mla" else plain_keys(full)
    if window:
        keys["attention.sliding_window"] = window.sliding_window
    if window and model.architecture == "gemma3_text":
        keys["attention.sliding_window_pattern"] = [bool(part and part.sliding_window) for part in parts]
    return keys


def plain_keys(part: Attention) -> dict[str, Any]:
    """Widths of heads with keys and values of their own."""
    return {
        "attention.key_length": part.head_dim,
        "attention.value_length": part.v_head_dim,
        "rope.dimension_count": part.rotary_dim or part.head_dim,
    }


def latent_keys(part: Attention) -> dict[str, Any]:
    """Widths of latent attention: the cache as one head, and the heads behind it."""
    rank, rotated = part.kv_lora_rank or 0, part.qk_rope_head_dim or 0
    keys = {
        "attention.key_length": rank + rotated,
        "attention.value_length": rank,
        "attention.key_length_mla": part.head_dim,
        "attention.value_length_mla": part.v_head_dim,
        "attention.kv_lora_rank": rank,
        "rope.dimension_count": rotated,
    }
    return keys | ({"attention.q_lora_rank": part.q_lora_rank} if part.q_lora_rank else {})


def expert_keys(part: Experts, layers: list[Block]) -> dict[str, Any]:
    """Mixtures of experts."""
    keys: dict[str, Any] = {
        "expert_count": part.num_experts,
        "expert_used_count": part.num_experts_per_tok,
        "expert_feed_forward_length": part.moe_intermediate_size,
        "leading_dense_block_count": next(i for i, block in enumerate(layers) if block.experts),
        "expert_weights_scale": 1.0,
        "expert_gating_func": 1,
        "expert_weights_norm": False,
    }
    if part.shared_expert_intermediate_size:
        keys["expert_shared_feed_forward_length"] = part.shared_expert_intermediate_size
        keys["expert_shared_count"] = max(1, part.shared_expert_intermediate_size // part.moe_intermediate_size)
    return keys


def state_keys(part: StateSpace, layers: list[Block]) -> dict[str, Any]:
    """Layers with a state of fixed size."""
    if part.kind == "short_conv":
        return {"shortconv.l_cache": part.conv_kernel}
    keys = {
        "ssm.conv_kernel": part.conv_kernel,
        "ssm.inner_size": part.inner_size,
        "ssm.state_size": part.state_size,
        "ssm.time_step_rank": part.num_heads,
        "ssm.group_count": part.num_groups,
    }
    if part.kind != "mamba2":
        keys["full_attention_interval"] = next(i for i, block in enumerate(layers) if block.attention) + 1
    return keys
