"""From the metadata of a GGUF file to the configuration that Hugging Face would have: one row per architecture.

What the metadata do not say (biases, norms of queries and keys, tied embeddings) is seen from the tensors that are there.
Sources: llama.cpp v0.5.0 ``conversion/`` (what the converter writes), ``src/models`` (what is read, and the defaults).
"""

from collections.abc import Callable
from dataclasses import dataclass

from vram_advisor.domain.architectures.table import ARCHITECTURES
from vram_advisor.sources.gguf_hybrids import granite_hybrid, lfm2, mamba2, nemotron_h, qwen_hybrid
from vram_advisor.sources.gguf_keys import GgufKeys
from vram_advisor.units.errors import NotModelled

Config = dict[str, object]
Fill = Callable[[GgufKeys], Config]
Choice = Callable[[GgufKeys], str]


@dataclass(frozen=True, slots=True, eq=False)
class Translation:
    """One ``general.architecture``."""

    model_type: str | Choice
    """Of Hugging Face; where several are one architecture here, what tells them apart."""
    fill: Fill | None = None
    """Fields beside the common ones."""


def configuration(keys: GgufKeys) -> Config:
    """The configuration of a model. Raises BadInput, NotModelled."""
    row = TRANSLATIONS.get(keys.architecture)
    if row is None:
        raise NotModelled(
            f"{keys.where}: the architecture {keys.architecture[:80]!r} of this GGUF file is not modelled"
        )
    model_type = row.model_type if isinstance(row.model_type, str) else row.model_type(keys)
    config = common(keys, model_type)
    if row.fill is not None:
        config |= row.fill(keys)
    return config


def common(keys: GgufKeys, model_type: str) -> Config:
    """Fields that most architectures share; None where the file does not say it."""
    known = ARCHITECTURES[model_type]
    config: Config = {
        "model_type": model_type,
        "hidden_size": keys.integer("embedding_length"),
        "num_hidden_layers": keys.layers,
        "num_attention_heads": keys.positive("attention.head_count"),
        "num_key_value_heads": keys.positive("attention.head_count_kv"),
        "head_dim": keys.positive("attention.key_length"),
        "rotary_dim": keys.integer("rope.dimension_count"),
        "intermediate_size": keys.positive("feed_forward_length"),
        "vocab_size": keys.vocabulary(),
        "max_position_embeddings": keys.positive("context_length"),
        "sliding_window": keys.positive("attention.sliding_window"),
        "num_experts": keys.positive("expert_count"),
        "num_experts_per_tok": keys.positive("expert_used_count"),
        "moe_intermediate_size": keys.positive("expert_feed_forward_length"),
        "shared_expert_intermediate_size": keys.positive("expert_shared_feed_forward_length"),
        "n_shared_experts": keys.integer("expert_shared_count"),
        "first_k_dense_replace": keys.integer("leading_dense_block_count"),
        "attn_logit_softcapping": keys.get("attn_logit_softcapping"),
        "final_logit_softcapping": keys.get("final_logit_softcapping"),
        "tie_word_embeddings": "output.weight" not in keys.tensors,
        "dtype": "bfloat16",
    }
    config |= windows(keys)
    if known.qk_norm_field:
        config[known.qk_norm_field[0]] = keys.has("attn_q_norm.weight")
    if isinstance(known.parallel, tuple):
        config[known.parallel[0]] = keys.flag("use_parallel_residual")
    return config


def windows(keys: GgufKeys) -> Config:
    """Which layers have a sliding window: a list, a period, or left to the architecture."""
    pattern = keys.get("attention.sliding_window_pattern")
    if pattern is None:
        return {}
    if isinstance(pattern, int) and not isinstance(pattern, bool):
        return {"sliding_window_pattern": pattern}
    layers = keys.per_layer("attention.sliding_window_pattern") or ()
    return {"layer_types": ["sliding_attention" if windowed else "full_attention" for windowed in layers]}


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


TRANSLATIONS: dict[str, Translation] = {
    "arcee": Translation("arcee"),
    "baichuan": Translation("baichuan"),
    "bert": Translation("bert", bert),
    "bitnet": Translation("bitnet"),
    "bloom": Translation("bloom"),
    "chatglm": Translation(lambda keys: "chatglm" if keys.has("attn_qkv.weight") else "glm"),
    "cohere2": Translation("cohere2"),
    "command-r": Translation("cohere"),
    "deepseek2": Translation(deepseek, latent),
    "deepseek32": Translation("deepseek_v32", latent),
    "dots1": Translation("dots1"),
    "ernie4_5": Translation("ernie4_5"),
    "ernie4_5-moe": Translation("ernie4_5_moe", ernie_moe),
    "exaone4": Translation("exaone4"),
    "falcon": Translation("falcon", falcon),
    "gemma": Translation("gemma"),
    "gemma2": Translation("gemma2"),
    "gemma3": Translation("gemma3_text"),
    "gemma3n": Translation("gemma3n_text", gemma3n),
    "gemma4": Translation("gemma4_text", gemma4),
    "glm-dsa": Translation("glm_moe_dsa", latent),
    "glm4": Translation("glm4"),
    "glm4moe": Translation("glm4_moe"),
    "gpt-oss": Translation("gpt_oss"),
    "gptoss": Translation("gpt_oss"),
    "gpt2": Translation("gpt2"),
    "gptneox": Translation("gpt_neox"),
    "granite": Translation("granite"),
    "granitehybrid": Translation("granitemoehybrid", granite_hybrid),
    "granitemoe": Translation(
        lambda keys: "granitemoeshared" if keys.has("ffn_up_shexp.weight") else "granitemoe", granite_moe
    ),
    "hunyuan-dense": Translation("hunyuan_v1_dense"),
    "hunyuan-moe": Translation("hunyuan_v1_moe"),
    "internlm2": Translation("internlm2"),
    "lfm2": Translation("lfm2", lfm2),
    "lfm2moe": Translation("lfm2_moe", lfm2),
    "llama": Translation(lambda keys: "mixtral" if keys.integer("expert_count") else "llama"),
    "llama4": Translation("llama4_text", llama4),
    "mamba2": Translation("mamba2", mamba2),
    "minimax-m2": Translation("minimax_m2"),
    "mistral3": Translation("ministral3"),
    "mpt": Translation("mpt", mpt),
    "nemotron": Translation("nemotron"),
    "nemotron_h": Translation("nemotron_h", nemotron_h),
    "nemotron_h_moe": Translation("nemotron_h", nemotron_h),
    "olmo": Translation("olmo"),
    "olmo2": Translation(olmo3_or_2),
    "olmoe": Translation("olmoe"),
    "phi2": Translation("phi"),
    "phi3": Translation("phi3"),
    "phimoe": Translation("phimoe"),
    "qwen": Translation("qwen"),
    "qwen2": Translation("qwen2"),
    "qwen25vl": Translation("qwen2_5_vl_text"),
    "qwen2moe": Translation("qwen2_moe"),
    "qwen2vl": Translation("qwen2_vl_text"),
    "qwen3": Translation("qwen3"),
    "qwen35": Translation("qwen3_5_text", qwen_hybrid),
    "qwen35moe": Translation("qwen3_5_moe_text", qwen_hybrid),
    "qwen3moe": Translation("qwen3_moe"),
    "qwen3next": Translation("qwen3_next", qwen_hybrid),
    "qwen3vl": Translation("qwen3_vl_text"),
    "qwen3vlmoe": Translation("qwen3_vl_moe_text"),
    "seed_oss": Translation("seed_oss"),
    "smollm3": Translation("smollm3"),
    "stablelm": Translation("stablelm"),
    "starcoder": Translation("gpt_bigcode", multi_query),
    "starcoder2": Translation("starcoder2"),
}
"""By ``general.architecture``; gptoss and qwen25vl are the names of Ollama's own converter."""
