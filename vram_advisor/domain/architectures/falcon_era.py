"""BLOOM, Falcon, MPT and ChatGLM: fused projections, ALiBi, one or few key heads."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.classic import FOUR_H, QUERY_KEY_VALUE
from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import HEADS, MAX_HEADS, Fields
from vram_advisor.domain.architectures.llama_like import checked
from vram_advisor.domain.architectures.llama_variants import REMOTE
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.domain.model import Block
from vram_advisor.units.errors import NotModelled

BLOOM_NAMES = Names(
    layers="transformer.h.{layer}",
    embedding="transformer.word_embeddings",
    embedding_norm="transformer.word_embeddings_layernorm",
    final_norm="transformer.ln_f",
    attention="self_attention",
)


def falcon_width(fields: Fields, hidden: int) -> int:
    """Width of Falcon's MLP [elements]."""
    return fields.integer_or(4 * hidden, "ffn_hidden_size", low=1)


def falcon_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """Falcon: one key head in the first generation, grouped queries and two norms in the second."""
    new = fields.flag("new_decoder_architecture", False)
    heads = fields.integer(*HEADS, "n_head", high=MAX_HEADS)
    kv = heads
    if new:
        kv = fields.integer_or(heads, "num_kv_heads", "n_head_kv", low=1, high=MAX_HEADS)
    elif fields.flag("multi_query", True):
        kv = 1
    values = {**fields.values, "num_key_value_heads": kv}
    values.pop("num_kv_heads", None)
    parallel = new or fields.flag("parallel_attn", True)
    norms = fields.integer_or(2 if new else 1, "num_ln_in_parallel_attn", low=1, high=2) if parallel else 2
    changed = replace(
        row,
        parallel=parallel,
        num_norms=norms,
        rotary=0.0 if fields.flag("alibi", False) else 1.0,
    )
    return decoder_layers(Fields(values, fields.where, fields.defaults), changed)


def chatglm_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """ChatGLM 2 and 3: grouped queries where the switch says so."""
    values = dict(fields.values)
    if not fields.flag("multi_query_attention", False):
        values.pop("multi_query_group_num", None)
    return decoder_layers(Fields(values, fields.where, fields.defaults), row)


def mpt_layers(fields: Fields, row: Architecture) -> Sequence[Block]:
    """MPT: ALiBi; learned positions are refused."""
    if not fields.inside("attn_config").flag("alibi", True):
        raise NotModelled(f"{fields.where}: MPT with learned positions (attn_config.alibi = false) is not modelled")
    return decoder_layers(fields, row)


def mpt_width(fields: Fields, hidden: int) -> int:
    """Width of MPT's MLP [elements]."""
    return fields.integer_or(4, "expansion_ratio", low=1, high=64) * hidden


FALCON_ERA = (
    Architecture(
        "bloom",
        checked("bloom"),
        decoder_layers,
        names=BLOOM_NAMES,
        norm="layer",
        embedding_norm="layer",
        tied=True,
        multi_head=True,
        attention_modules=QUERY_KEY_VALUE,
        qkv_bias=True,
        output_bias=True,
        rotary=0.0,
        gated=False,
        mlp_modules=FOUR_H,
        mlp_bias=True,
        intermediate=lambda _, hidden: 4 * hidden,
        activation="gelu_bloom",
        residual_dropout=("hidden_dropout", 0.0),
    ),
    Architecture(
        "falcon",
        checked("falcon"),
        falcon_layers,
        names=Names(
            layers="transformer.h.{layer}",
            embedding="transformer.word_embeddings",
            final_norm="transformer.ln_f",
            pair_of_norms=("ln_attn", "ln_mlp"),
            attention="self_attention",
        ),
        norm="layer",
        tied=True,
        attention_modules=QUERY_KEY_VALUE,
        qkv_bias=("bias", False),
        output_bias=("bias", False),
        gated=False,
        mlp_modules=FOUR_H,
        mlp_bias=("bias", False),
        intermediate=falcon_width,
        activation="gelu",
        residual_dropout=("hidden_dropout", 0.0),
    ),
    Architecture(
        "mpt",
        checked("mpt"),
        mpt_layers,
        names=Names(
            layers="transformer.blocks.{layer}",
            embedding="transformer.wte",
            final_norm="transformer.norm_f",
            norms=("norm_1", "norm_2"),
            attention="attn",
            mlp="ffn",
        ),
        norm="layer_no_bias",
        tied=True,
        multi_head=True,
        attention_modules=("Wqkv", "Wqkv", "Wqkv", "out_proj"),
        rotary=0.0,
        gated=False,
        mlp_modules=("up_proj", "down_proj"),
        intermediate=mpt_width,
        unmodelled={"no_bias": False},
        activation="gelu",
    ),
    Architecture(
        "chatglm",
        REMOTE.format("modeling_chatglm.py"),
        chatglm_layers,
        names=Names(
            layers="transformer.encoder.layers.{layer}",
            embedding="transformer.embedding.word_embeddings",
            final_norm="transformer.encoder.final_layernorm",
            head="transformer.output_layer",
            attention="self_attention",
        ),
        attention_modules=QUERY_KEY_VALUE,
        qkv_bias=("add_qkv_bias", False),
        mlp_modules=("dense_h_to_4h", "dense_h_to_4h", "dense_4h_to_h"),
        unmodelled={"add_bias_linear": True, "rmsnorm": False},
        rotary=0.5,
    ),
)
