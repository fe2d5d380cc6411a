"""Dense decoders with Llama's names: RMS norms, rotary positions, separate projections."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import Fields
from vram_advisor.domain.architectures.parts import hidden_size, mlp
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.domain.model import Block, ExtraTensor

ATTENTION_BIAS = ("attention_bias", False)
MLP_BIAS = ("mlp_bias", False)
CHECKED = "read in source: transformers 5.23 {}; names and shapes equal those of the class"
USE_BIAS = ("use_bias", False)

PLAIN_MLP = ("up_proj", "down_proj")
POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")


def checked(model_type: str) -> str:
    """Evidence of a row whose tensors were compared with the class."""
    return CHECKED.format(f"modeling_{model_type}.py")


def bitnet_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """BitNet: a norm more inside attention and MLP."""
    extra = (
        ExtraTensor("self_attn.attn_sub_norm.weight", (hidden_size(fields),), "norm", "vector"),
        ExtraTensor("mlp.ffn_sub_norm.weight", (mlp(fields, row).intermediate_size,), "norm", "vector"),
    )
    plain = decoder_layers(fields, row)
    layer = replace(plain[0], extra=extra)
    return [layer] * len(plain)


QWEN2_VL = Architecture(
    "qwen2_vl_text",
    checked("qwen2_vl"),
    decoder_layers,
    qkv_bias=True,
    window_period=0,
    window_switch="use_sliding_window",
)

LLAMA_LIKE = (
    Architecture(
        "llama",
        checked("llama"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mlp_bias=MLP_BIAS,
    ),
    Architecture("mistral", checked("mistral"), decoder_layers, window_period=0),
    Architecture("ministral", checked("ministral"), decoder_layers, window_period=0),
    Architecture("ministral3", checked("ministral3"), decoder_layers, window_period=0),
    Architecture(
        "qwen2",
        checked("qwen2"),
        decoder_layers,
        qkv_bias=True,
        window_period=0,
        window_switch="use_sliding_window",
    ),
    Architecture(
        "qwen3",
        checked("qwen3"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=0,
        window_switch="use_sliding_window",
        defaults={"head_dim": 128},
    ),
    Architecture(
        "smollm3",
        checked("smollm3"),
        decoder_layers,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mlp_bias=MLP_BIAS,
        window_period=0,
        window_switch="use_sliding_window",
        unrotated_period=4,
    ),
    Architecture(
        "granite",
        checked("granite"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mlp_bias=MLP_BIAS,
    ),
    Architecture(
        "olmo2",
        checked("olmo2"),
        decoder_layers,
        names=Names(norms=POST_NORMS),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="full",
        norm="rms_wide",
    ),
    Architecture(
        "olmo3",
        checked("olmo3"),
        decoder_layers,
        names=Names(norms=POST_NORMS),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="full",
        window_period=4,
        norm="rms_wide",
    ),
    Architecture(
        "exaone4",
        checked("exaone4"),
        decoder_layers,
        names=Names(norms=POST_NORMS),
        qk_norm="head",
        window_period=4,
        rotary_in_full=False,
    ),
    Architecture(
        "seed_oss",
        checked("seed_oss"),
        decoder_layers,
        qkv_bias=("attention_bias", True),
        output_bias=("attention_out_bias", False),
        mlp_bias=MLP_BIAS,
        defaults={"head_dim": 128},
        attention_dropout=("attention_dropout", 0.1),
        residual_dropout=("residual_dropout", 0.1),
    ),
    Architecture(
        "internlm3",
        CHECKED.format("modular_internlm3.py (the Llama class)"),
        decoder_layers,
        qkv_bias=("qkv_bias", False),
        output_bias=("bias", False),
        mlp_bias=("bias", False),
        defaults={"head_dim": 128},
    ),
    Architecture(
        "olmo",
        checked("olmo"),
        decoder_layers,
        norm="none_parametric",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
    ),
    Architecture(
        "ernie4_5",
        checked("ernie4_5"),
        decoder_layers,
        tied=True,
        qkv_bias=USE_BIAS,
        output_bias=USE_BIAS,
        mlp_bias=USE_BIAS,
        defaults={"head_dim": 128},
    ),
    Architecture(
        "hunyuan_v1_dense",
        checked("hunyuan_v1_dense"),
        decoder_layers,
        names=Names(qk_norms=("query_layernorm", "key_layernorm")),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
    ),
    Architecture(
        "arcee",
        checked("arcee"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        gated=False,
        mlp_modules=PLAIN_MLP,
        mlp_bias=MLP_BIAS,
        activation="relu2",
    ),
    Architecture(
        "bitnet",
        checked("bitnet") + "; counted as unpacked weights",
        bitnet_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        activation="relu2",
    ),
    QWEN2_VL,
    replace(QWEN2_VL, model_type="qwen2_5_vl_text", evidence=checked("qwen2_5_vl")),
    Architecture(
        "qwen3_vl_text",
        checked("qwen3_vl"),
        decoder_layers,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        defaults={"head_dim": 128},
    ),
)
