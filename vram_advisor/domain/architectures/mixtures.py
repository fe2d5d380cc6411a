"""Decoders with a mixture of experts in all or most layers."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import Fields
from vram_advisor.domain.architectures.llama_like import ATTENTION_BIAS, checked
from vram_advisor.domain.architectures.row import Architecture, Mixture, Names
from vram_advisor.domain.model import Block

DEEPSEEK = Mixture(shared_count="n_shared_experts", first_dense="first_k_dense_replace", correction_bias=True)
QWEN_SHARED = Mixture(shared_width="shared_expert_intermediate_size", shared_gate=True)
QWEN_NAMES = Names(shared="mlp.shared_expert")
ROUTER_NAMES = Names(router="mlp.router")


def llama4_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Llama 4: intermediate_size is that of an expert, intermediate_size_mlp that of a dense layer."""
    values = dict(fields.values)
    values["moe_intermediate_size"] = fields.integer("intermediate_size")
    values["intermediate_size"] = fields.integer_or(16384, "intermediate_size_mlp", low=1)
    return decoder_layers(Fields(values, fields.where, fields.defaults), row)


ROWS = (
    Architecture("mixtral", checked("mixtral"), decoder_layers, mixture=Mixture(), window_period=0),
    Architecture(
        "qwen2_moe",
        checked("qwen2_moe"),
        decoder_layers,
        names=QWEN_NAMES,
        qkv_bias=("qkv_bias", True),
        window_period=0,
        window_switch="use_sliding_window",
        mixture=QWEN_SHARED,
    ),
    Architecture(
        "qwen3_moe",
        checked("qwen3_moe"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=0,
        window_switch="use_sliding_window",
        mixture=Mixture(),
    ),
    Architecture(
        "olmoe",
        checked("olmoe"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="full",
        mixture=Mixture(),
    ),
    Architecture(
        "granitemoe",
        checked("granitemoe"),
        decoder_layers,
        names=Names(router="block_sparse_moe.router", experts="block_sparse_moe.experts"),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mixture=Mixture(),
    ),
    Architecture(
        "phimoe",
        checked("phimoe"),
        decoder_layers,
        names=ROUTER_NAMES,
        norm="layer",
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        window_period=0,
        mixture=Mixture(),
        head_bias=("lm_head_bias", False),
    ),
    Architecture(
        "gpt_oss",
        checked("gpt_oss"),
        decoder_layers,
        names=ROUTER_NAMES,
        qkv_bias=("attention_bias", True),
        output_bias=("attention_bias", True),
        sinks=True,
        window_period=2,
        mixture=Mixture(bias=True, router_bias=True),
        defaults={"head_dim": 64},
        norm="rms_wide",
    ),
    Architecture(
        "minimax_m2",
        checked("minimax_m2"),
        decoder_layers,
        qk_norm="full",
        mixture=Mixture(correction_bias=True),
        defaults={"head_dim": 128},
    ),
    Architecture(
        "glm4_moe",
        checked("glm4_moe"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        qk_norm="head",
        qk_norm_field=("use_qk_norm", False),
        rotary=0.5,
        mixture=DEEPSEEK,
    ),
    Architecture(
        "ernie4_5_moe",
        checked("ernie4_5_moe") + "; the router's score correction is left out",
        decoder_layers,
        tied=True,
        mixture=Mixture(
            shared_count="moe_num_shared_experts", first_dense="moe_layer_start_index", correction_bias=True
        ),
        unmodelled={"use_bias": True},
        defaults={"moe_layer_start_index": 1, "moe_num_shared_experts": 2},
    ),
    Architecture(
        "hunyuan_v1_moe",
        checked("hunyuan_v1_moe"),
        decoder_layers,
        names=Names(qk_norms=("query_layernorm", "key_layernorm"), router="mlp.gate.wg", shared="mlp.shared_mlp"),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        mixture=Mixture(width=("intermediate_size",), shared_count=1),
    ),
    Architecture(
        "llama4_text",
        checked("llama4"),
        llama4_layers,
        names=Names(
            mlp="feed_forward",
            router="feed_forward.router",
            experts="feed_forward.experts",
            shared="feed_forward.shared_expert",
        ),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="weightless",
        qk_norm_field=("use_qk_norm", True),
        window_period=4,
        rotary_in_full=False,
        mixture=Mixture(shared_count=1),
        defaults={"attention_chunk_size": 8192},
    ),
    Architecture(
        "dots1",
        checked("dots1"),
        decoder_layers,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        window_period=0,
        mixture=DEEPSEEK,
    ),
    Architecture(
        "granitemoeshared",
        checked("granitemoeshared"),
        decoder_layers,
        names=Names(
            router="block_sparse_moe.router",
            experts="block_sparse_moe.experts",
            shared="shared_mlp",
            shared_modules=("input_linear", "input_linear", "output_linear"),
        ),
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        mixture=Mixture(shared_width="shared_intermediate_size"),
    ),
    Architecture(
        "qwen3_vl_moe_text",
        checked("qwen3_vl_moe"),
        decoder_layers,
        tied=True,
        qkv_bias=ATTENTION_BIAS,
        output_bias=ATTENTION_BIAS,
        qk_norm="head",
        mixture=Mixture(),
    ),
    Architecture(
        "deepseek_v2", checked("deepseek_v2"), decoder_layers, mla=True, qkv_bias=ATTENTION_BIAS, mixture=DEEPSEEK
    ),
    Architecture(
        "deepseek_v3", checked("deepseek_v3"), decoder_layers, mla=True, qkv_bias=ATTENTION_BIAS, mixture=DEEPSEEK
    ),
    Architecture(
        "deepseek_v32", checked("deepseek_v32"), decoder_layers, mla=True, qkv_bias=ATTENTION_BIAS, mixture=DEEPSEEK
    ),
    Architecture(
        "glm4_moe_lite", checked("glm4_moe_lite"), decoder_layers, mla=True, qkv_bias=ATTENTION_BIAS, mixture=DEEPSEEK
    ),
    Architecture(
        "glm_moe_dsa", checked("glm_moe_dsa"), decoder_layers, mla=True, qkv_bias=ATTENTION_BIAS, mixture=DEEPSEEK
    ),
)
KIMI_K2 = replace(
    next(row for row in ROWS if row.model_type == "deepseek_v3"),
    model_type="kimi_k2",
    evidence="read in source: the repository's own modeling_deepseek.py, the class of DeepSeek-V3; "
    "within 3,416 parameters of the published count",
)
MIXTURES = (*ROWS, KIMI_K2)
