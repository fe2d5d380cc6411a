"""Fields of single architectures that a GGUF file writes in its own way.

Sources: llama.cpp v0.5.0 ``conversion/`` (what the converter writes), ``src/models`` (what is read, and the defaults).
"""

from vram_advisor.sources.gguf_keys import GgufKeys
from vram_advisor.units.errors import NotModelled

Config = dict[str, object]


def latent(keys: GgufKeys) -> Config:
    """Multi-head latent attention (DeepSeek)."""
    if keys.has("attn_kv_b.weight"):
        raise NotModelled(
            f"{keys.where} was converted before April 2025: llama.cpp then caches the keys and values of all heads, "
            "which is not modelled; get a newer conversion"
        )
    rope = keys.required("rope.dimension_count", 1 << 16)
    return {
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": keys.required("attention.key_length_mla", 1 << 16) - rope,
        "v_head_dim": keys.required("attention.value_length_mla", 1 << 16),
        "q_lora_rank": keys.positive("attention.q_lora_rank") if keys.has("attn_q_a.weight") else None,
        "kv_lora_rank": keys.positive("attention.kv_lora_rank"),
        "num_key_value_heads": None,
        "index_n_heads": keys.positive("attention.indexer.head_count"),
        "index_head_dim": keys.positive("attention.indexer.key_length"),
    }


def llama4(keys: GgufKeys) -> Config:
    """Llama 4: intermediate_size is that of an expert."""
    chunk = keys.integer("attention.sliding_window")
    return {
        "intermediate_size": keys.positive("expert_feed_forward_length"),
        "intermediate_size_mlp": keys.positive("feed_forward_length"),
        "interleave_moe_layer_step": keys.positive("interleave_moe_layer_step"),
        # llama.cpp holds the size of the chunk fixed, and takes 0 for none
        "attention_chunk_size": None if chunk == 0 else 8192,
        "sliding_window": None,
        "layer_types": ["full_attention"] * keys.layers if chunk == 0 else None,
        "use_qk_norm": keys.integer("expert_count") != 128,
    }


def gemma4(keys: GgufKeys) -> Config:
    """Gemma 4: two widths of heads, per-layer inputs, shared caches, a wide MLP behind them."""
    windowed = keys.per_layer("attention.sliding_window_pattern") or (1,) * keys.layers
    kv = keys.per_layer("attention.head_count_kv") or (1,) * keys.layers
    full = [layer for layer, window in enumerate(windowed) if not window]
    widths = keys.per_layer("feed_forward_length") or (0,)
    per_layer = keys.positive("embedding_length_per_layer_input")
    return {
        "head_dim": keys.positive("attention.key_length_swa"),
        "global_head_dim": keys.positive("attention.key_length"),
        "rotary_dim": None,
        "num_key_value_heads": next((heads for heads, window in zip(kv, windowed, strict=True) if window), None),
        "num_global_key_value_heads": kv[full[0]] if full else None,
        "attention_k_eq_v": bool(full) and f"blk.{full[0]}.attn_v.weight" not in keys.tensors,
        "intermediate_size": min(widths) or None,
        "use_double_wide_mlp": len(set(widths)) > 1,
        "num_kv_shared_layers": keys.integer("attention.shared_kv_layers"),
        "hidden_size_per_layer_input": per_layer or 0,
        "vocab_size_per_layer_input": keys.width("per_layer_token_embd.weight", 0),
        "enable_moe_block": keys.has("ffn_gate_inp.weight"),
    }


def gemma3n(keys: GgufKeys) -> Config:
    """Gemma 3n: per-layer inputs, AltUp streams."""
    widths = keys.per_layer("feed_forward_length")
    shared = keys.integer("attention.shared_kv_layers")
    return {
        "intermediate_size": list(widths) if widths else None,
        # files of the first converter do not say it: 20 layers have a cache of their own
        "num_kv_shared_layers": max(keys.layers - 20, 0) if shared is None else shared,
        "hidden_size_per_layer_input": keys.positive("embedding_length_per_layer_input"),
        "vocab_size_per_layer_input": keys.width("per_layer_token_embd.weight", 0),
        "altup_num_inputs": keys.positive("altup.num_inputs"),
        "laurel_rank": keys.width("blk.0.laurel_l.weight", 0),
    }


def falcon(keys: GgufKeys) -> Config:
    """Falcon: two norms are the mark of the second generation."""
    second = keys.has("attn_norm_2.weight")
    return {
        "new_decoder_architecture": second,
        "multi_query": keys.integer("attention.head_count_kv") == 1,
        "num_kv_heads": keys.positive("attention.head_count_kv"),
        "parallel_attn": True,
        "num_ln_in_parallel_attn": 2 if second else 1,
        "ffn_hidden_size": keys.positive("feed_forward_length"),
    }


def mpt(keys: GgufKeys) -> Config:
    """MPT: the MLP is given as a multiple."""
    width, hidden = keys.integer("feed_forward_length"), keys.required("embedding_length", 1 << 22)
    return {"expansion_ratio": (width or 4 * hidden) // hidden}


def bert(keys: GgufKeys) -> Config:
    """BERT: kinds of tokens."""
    return {"type_vocab_size": keys.width("token_types.weight", 0)}


def multi_query(keys: GgufKeys) -> Config:
    """StarCoder: one key head or all."""
    return {"multi_query": keys.integer("attention.head_count_kv") == 1}


def ernie_moe(keys: GgufKeys) -> Config:
    """ERNIE 4.5: dense layers first, the rest by a step."""
    return {
        "moe_layer_start_index": keys.integer("leading_dense_block_count"),
        "moe_num_shared_experts": keys.integer("expert_shared_count"),
        "moe_layer_interval": keys.positive("interleave_moe_layer_step"),
    }


def granite_moe(keys: GgufKeys) -> Config:
    """Granite: experts as wide as the feed-forward length."""
    return {
        "moe_intermediate_size": None,
        "shared_intermediate_size": keys.positive("expert_shared_feed_forward_length"),
    }


def olmo3_or_2(keys: GgufKeys) -> str:
    """OLMo 3 has windows."""
    return "olmo3" if keys.positive("attention.sliding_window") else "olmo2"


def deepseek(keys: GgufKeys) -> str:
    """V3 corrects the scores of its router."""
    return "deepseek_v3" if keys.has("exp_probs_b.bias") else "deepseek_v2"
