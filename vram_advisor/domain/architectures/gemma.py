"""The Gemma family: normed outputs, tied embeddings, windows; per-layer inputs and shared caches in 3n and 4."""

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.gemma_layers import gemma3n_extra, gemma3n_layers, gemma4_layers, per_layer_table
from vram_advisor.domain.architectures.llama_like import ATTENTION_BIAS, checked
from vram_advisor.domain.architectures.row import Architecture, Names

FOUR_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
GEMMA4_NORMS = FOUR_NORMS + (
    "post_feedforward_layernorm_1",
    "post_feedforward_layernorm_2",
    "pre_feedforward_layernorm_2",
)
PER_LAYER = {"hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262144}
GEMMA3_DEFAULTS = {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 4096,
    "max_position_embeddings": 131072,
}


GEMMA = (
    Architecture(
        "gemma",
        checked("gemma"),
        decoder_layers,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        activation="gelu_pytorch_tanh",
        defaults={"head_dim": 256},
        norm="rms_plus_one",
    ),
    Architecture(
        "gemma2",
        checked("gemma2"),
        decoder_layers,
        names=Names(norms=FOUR_NORMS),
        num_norms=4,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        window_period=2,
        softcapping="attn_logit_softcapping",
        activation="gelu_pytorch_tanh",
        defaults={
            "head_dim": 256,
            "sliding_window": 4096,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
        norm="rms_plus_one",
    ),
    Architecture(
        "gemma3_text",
        checked("gemma3"),
        decoder_layers,
        names=Names(norms=FOUR_NORMS),
        num_norms=4,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=6,
        activation="gelu_pytorch_tanh",
        defaults=GEMMA3_DEFAULTS,
        norm="rms_plus_one",
    ),
    Architecture(
        "gemma3n_text",
        checked("gemma3n"),
        gemma3n_layers,
        names=Names(norms=FOUR_NORMS),
        num_norms=4,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=5,
        activation="gelu_pytorch_tanh",
        extra=gemma3n_extra,
        defaults={
            "vocab_size": 262400,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "sliding_window": 512,
            "max_position_embeddings": 32768,
            "num_kv_shared_layers": 15,
            "final_logit_softcapping": 30.0,
            **PER_LAYER,
        },
    ),
    Architecture(
        "gemma4_text",
        checked("gemma4"),
        gemma4_layers,
        names=Names(norms=GEMMA4_NORMS, router="router.proj", experts="experts"),
        num_norms=4,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=6,
        activation="gelu_pytorch_tanh",
        norm="rms_plus_one",
        extra=per_layer_table,
        defaults={
            "vocab_size": 262144,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 512,
            "max_position_embeddings": 131072,
            **PER_LAYER,
        },
    ),
)
