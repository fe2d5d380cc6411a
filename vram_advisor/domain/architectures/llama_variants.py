"""Dense decoders near Llama: layer norms, fused projections, partial rotary positions, parallel layers."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import Fields
from vram_advisor.domain.architectures.llama_like import ATTENTION_BIAS, MLP_BIAS, PLAIN_MLP, checked
from vram_advisor.domain.architectures.parts import flag
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.domain.model import Block

REMOTE = "read in source: the repository's own {}; the total equals the published count"
FUSED_MLP = ("gate_up_proj", "gate_up_proj", "down_proj")


def stablelm_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """StableLM: one norm where attention and MLP are parallel."""
    return decoder_layers(fields, replace(row, num_norms=1) if flag(fields, row.parallel) else row)


LLAMA_VARIANTS = (
    Architecture(
        "phi3",
        checked("phi3"),
        decoder_layers,
        attention_modules=("qkv_proj", "qkv_proj", "qkv_proj", "o_proj"),
        mlp_modules=FUSED_MLP,
        window_period=0,
    ),
    Architecture(
        "glm",
        checked("glm"),
        decoder_layers,
        qkv_bias=("attention_bias", True),
        mlp_modules=FUSED_MLP,
        rotary=0.5,
        defaults={"head_dim": 128},
    ),
    Architecture(
        "glm4",
        checked("glm4"),
        decoder_layers,
        names=Names(
            norms=("input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm")
        ),
        num_norms=4,
        qkv_bias=("attention_bias", True),
        mlp_modules=FUSED_MLP,
        rotary=0.5,
        defaults={"head_dim": 128},
    ),
    Architecture(
        "nemotron",
        checked("nemotron"),
        decoder_layers,
        norm="layer_plus_one",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        gated=False,
        mlp_modules=PLAIN_MLP,
        mlp_bias=MLP_BIAS,
        activation="relu2",
        rotary=0.5,
    ),
    Architecture(
        "stablelm",
        checked("stablelm"),
        stablelm_layers,
        names=Names(qk_norms=("q_layernorm", "k_layernorm")),
        norm="layer",
        parallel=("use_parallel_residual", False),
        qkv_bias=("use_qkv_bias", False),
        qk_norm="full",
        qk_norm_field=("qk_layernorm", False),
        rotary=0.25,
        residual_dropout=("hidden_dropout", 0.0),
    ),
    Architecture(
        "cohere",
        checked("cohere"),
        decoder_layers,
        norm="layer_fp32",
        num_norms=1,
        tied=True,
        parallel=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="full",
        qk_norm_field=("use_qk_norm", False),
    ),
    Architecture(
        "cohere2",
        checked("cohere2"),
        decoder_layers,
        norm="layer_fp32",
        num_norms=1,
        tied=True,
        parallel=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        window_period=4,
        rotary_in_full=False,
    ),
    Architecture(
        "starcoder2",
        checked("starcoder2"),
        decoder_layers,
        norm="layer",
        tied=True,
        qkv_bias=("use_bias", True),
        output_bias=("use_bias", True),
        gated=False,
        mlp_modules=("c_fc", "c_proj"),
        mlp_bias=("use_bias", True),
        activation="gelu_pytorch_tanh",
        window_period=0,
        residual_dropout=("residual_dropout", 0.0),
        embedding_dropout=("embedding_dropout", 0.0),
    ),
    Architecture(
        "internlm2",
        REMOTE.format("modeling_internlm2.py"),
        decoder_layers,
        names=Names(
            embedding="model.tok_embeddings",
            head="output",
            norms=("attention_norm", "ffn_norm"),
            attention="attention",
            mlp="feed_forward",
        ),
        attention_modules=("wqkv", "wqkv", "wqkv", "wo"),
        qkv_bias=("bias", False),
        output_bias=("bias", False),
        mlp_modules=("w1", "w3", "w2"),
    ),
    Architecture(
        "baichuan",
        "read in source: the repository's own modeling_baichuan.py; no published count to compare with",
        decoder_layers,
        attention_modules=("W_pack", "W_pack", "W_pack", "o_proj"),
    ),
)
