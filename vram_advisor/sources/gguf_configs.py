"""From the metadata of a GGUF file to the configuration that Hugging Face would have: one row per architecture.

What the metadata do not say (biases, norms of queries and keys, tied embeddings) is seen from the tensors that are there.
Sources: llama.cpp v0.5.0 ``conversion/`` (what the converter writes), ``src/models`` (what is read, and the defaults).
"""

from collections.abc import Callable
from dataclasses import dataclass

from vram_advisor.domain.architectures.table import ARCHITECTURES
from vram_advisor.sources.gguf_fields import (
    bert,
    deepseek,
    ernie_moe,
    falcon,
    gemma3n,
    gemma4,
    granite_moe,
    latent,
    llama4,
    mpt,
    multi_query,
    olmo3_or_2,
)
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
