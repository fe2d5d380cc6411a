"""Decoders after GPT-2: layer norms, no gate, learned or partial rotary positions."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import HEADS, INTERMEDIATE, MAX_HEADS, Fields
from vram_advisor.domain.architectures.llama_like import checked
from vram_advisor.domain.architectures.llama_variants import REMOTE
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.domain.model import Block

GPT2_NAMES = Names(
    layers="transformer.h.{layer}",
    embedding="transformer.wte",
    position="transformer.wpe",
    final_norm="transformer.ln_f",
    norms=("ln_1", "ln_2"),
    attention="attn",
)
C_ATTN = ("c_attn", "c_attn", "c_attn", "c_proj")
QUERY_KEY_VALUE = ("query_key_value", "query_key_value", "query_key_value", "dense")
FOUR_H = ("dense_h_to_4h", "dense_4h_to_h")


def four_times(fields: Fields, hidden: int) -> int:
    """Width of the MLP where a configuration may leave it out [elements]."""
    return fields.integer_or(4 * hidden, *INTERMEDIATE, low=1)


def multi_query(fields: Fields, row: Architecture) -> Sequence[Block]:
    """GPT-2 with one key head (SantaCoder, StarCoder)."""
    kv = 1 if fields.flag("multi_query", True) else fields.integer(*HEADS, high=MAX_HEADS)
    return decoder_layers(Fields({**fields.values, "num_key_value_heads": kv}, fields.where, fields.defaults), row)


def opt_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """OPT: the ordinary layers; fails early where the file switches norm weights off."""
    if not fields.flag("layer_norm_elementwise_affine", True):
        row = replace(row, norm="none_parametric")
    return decoder_layers(fields, row)


def qwen_width(fields: Fields, hidden: int) -> int:
    """Half of intermediate_size: Qwen 1 counts gate and up together [elements]."""
    both = fields.integer("intermediate_size")
    if both % 2:
        raise fields.wrong("intermediate_size", both, "an even number: gate and up together")
    return both // 2


CLASSIC = (
    Architecture(
        "gpt2",
        checked("gpt2"),
        decoder_layers,
        names=GPT2_NAMES,
        norm="layer",
        tied=True,
        multi_head=True,
        attention_modules=C_ATTN,
        qkv_bias=True,
        output_bias=True,
        rotary=0.0,
        gated=False,
        mlp_modules=("c_fc", "c_proj"),
        mlp_bias=True,
        intermediate=four_times,
        activation="gelu_new",
        position_offset=0,
        unmodelled={"add_cross_attention": True},
        attention_dropout=("attn_pdrop", 0.1),
        residual_dropout=("resid_pdrop", 0.1),
        embedding_dropout=("embd_pdrop", 0.1),
    ),
    Architecture(
        "gpt_bigcode",
        checked("gpt_bigcode"),
        multi_query,
        names=GPT2_NAMES,
        norm="layer",
        tied=True,
        attention_modules=C_ATTN,
        qkv_bias=True,
        output_bias=True,
        rotary=0.0,
        gated=False,
        mlp_modules=("c_fc", "c_proj"),
        mlp_bias=True,
        intermediate=four_times,
        activation="gelu_pytorch_tanh",
        position_offset=0,
        attention_dropout=("attn_pdrop", 0.1),
        residual_dropout=("resid_pdrop", 0.1),
        embedding_dropout=("embd_pdrop", 0.1),
    ),
    Architecture(
        "opt",
        checked("opt"),
        opt_layers,
        names=Names(
            layers="model.decoder.layers.{layer}",
            embedding="model.decoder.embed_tokens",
            position="model.decoder.embed_positions",
            final_norm="model.decoder.final_layer_norm",
            project_in="model.decoder.project_in",
            project_out="model.decoder.project_out",
            norms=("self_attn_layer_norm", "final_layer_norm"),
            mlp="",
        ),
        norm="layer",
        final_norm=("do_layer_norm_before", True),
        tied=True,
        multi_head=True,
        attention_modules=("q_proj", "k_proj", "v_proj", "out_proj"),
        qkv_bias=("enable_bias", True),
        output_bias=("enable_bias", True),
        rotary=0.0,
        gated=False,
        mlp_modules=("fc1", "fc2"),
        mlp_bias=("enable_bias", True),
        activation="relu",
        position_offset=2,
        residual_dropout=("dropout", 0.1),
    ),
    Architecture(
        "gptj",
        checked("gptj"),
        decoder_layers,
        names=replace(GPT2_NAMES, position="", norms=("ln_1",)),
        norm="layer",
        num_norms=1,
        parallel=True,
        multi_head=True,
        attention_modules=("q_proj", "k_proj", "v_proj", "out_proj"),
        gated=False,
        mlp_modules=("fc_in", "fc_out"),
        mlp_bias=True,
        intermediate=four_times,
        activation="gelu_new",
        head_bias=True,
        attention_dropout=("attn_pdrop", 0.0),
        residual_dropout=("resid_pdrop", 0.0),
        embedding_dropout=("embd_pdrop", 0.0),
    ),
    Architecture(
        "gpt_neox",
        checked("gpt_neox"),
        decoder_layers,
        names=Names(
            layers="gpt_neox.layers.{layer}",
            embedding="gpt_neox.embed_in",
            final_norm="gpt_neox.final_layer_norm",
            attention="attention",
        ),
        norm="layer",
        parallel=("use_parallel_residual", True),
        multi_head=True,
        attention_modules=QUERY_KEY_VALUE,
        qkv_bias=("attention_bias", True),
        output_bias=("attention_bias", True),
        gated=False,
        mlp_modules=FOUR_H,
        mlp_bias=True,
        rotary=0.25,
        activation="gelu",
        residual_dropout=("hidden_dropout", 0.0),
        embedding_dropout=("hidden_dropout", 0.0),
    ),
    Architecture(
        "phi",
        checked("phi"),
        decoder_layers,
        names=Names(norms=("input_layernorm",), final_norm="model.final_layernorm"),
        norm="layer",
        num_norms=1,
        parallel=True,
        attention_modules=("q_proj", "k_proj", "v_proj", "dense"),
        qkv_bias=True,
        output_bias=True,
        gated=False,
        mlp_modules=("fc1", "fc2"),
        mlp_bias=True,
        rotary=0.5,
        activation="gelu_new",
        unmodelled={"qk_layernorm": True},
        head_bias=True,
        residual_dropout=("resid_pdrop", 0.0),
        embedding_dropout=("embd_pdrop", 0.0),
    ),
    Architecture(
        "qwen",
        REMOTE.format("modeling_qwen.py"),
        decoder_layers,
        names=replace(GPT2_NAMES, position=""),
        multi_head=True,
        attention_modules=C_ATTN,
        qkv_bias=True,
        mlp_modules=("w2", "w1", "c_proj"),
        intermediate=qwen_width,
    ),
)
