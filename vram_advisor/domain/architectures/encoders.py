"""Encoders: every token sees every other, nothing is cached."""

from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.domain.architectures.decoder import decoder_layers
from vram_advisor.domain.architectures.fields import MAX_ROWS, Fields
from vram_advisor.domain.architectures.llama_like import checked
from vram_advisor.domain.architectures.row import Architecture, Names
from vram_advisor.domain.model import ExtraTensor


def bert_extra(fields: Fields, hidden: int, layers: int) -> Sequence[ExtraTensor]:
    """Token types and pooler of BERT."""
    types = fields.integer_or(2, "type_vocab_size", low=1, high=MAX_ROWS)
    return (
        ExtraTensor("embeddings.token_type_embeddings.weight", (types, hidden), "position", "embedding"),
        ExtraTensor("pooler.dense.weight", (hidden, hidden)),
        ExtraTensor("pooler.dense.bias", (hidden,), "bias", "vector"),
    )


BERT = Architecture(
    "bert",
    checked("bert"),
    decoder_layers,
    names=Names(
        layers="encoder.layer.{layer}",
        embedding="embeddings.word_embeddings",
        embedding_norm="embeddings.LayerNorm",
        position="embeddings.position_embeddings",
        norms=("attention.output.LayerNorm", "output.LayerNorm"),
        attention="attention",
        mlp="",
    ),
    norm="layer",
    embedding_norm="layer",
    final_norm=False,
    tied=True,
    causal=False,
    multi_head=True,
    attention_modules=("self.query", "self.key", "self.value", "output.dense"),
    qkv_bias=True,
    output_bias=True,
    rotary=0.0,
    gated=False,
    mlp_modules=("intermediate.dense", "output.dense"),
    mlp_bias=True,
    activation="gelu",
    position_offset=0,
    extra=bert_extra,
    unmodelled={"add_cross_attention": True},
    attention_dropout=("attention_probs_dropout_prob", 0.1),
    residual_dropout=("hidden_dropout_prob", 0.1),
    embedding_dropout=("hidden_dropout_prob", 0.1),
)
ENCODERS = (
    BERT,
    replace(BERT, model_type="roberta", evidence=checked("roberta")),
    replace(BERT, model_type="xlm-roberta", evidence=checked("xlm_roberta")),
)
