"""From a Hugging Face configuration to a ``ModelSpec``: the one road for catalogue, files and hub."""

from collections.abc import Mapping, Sequence

from vram_advisor.domain.architectures.fields import CONTEXT, MAX_ROWS, MAX_TOKENS, VOCAB, Fields
from vram_advisor.domain.architectures.parts import drops, flag, hidden_size
from vram_advisor.domain.architectures.row import Architecture
from vram_advisor.domain.architectures.table import WRAPPERS, architecture
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.units.errors import BadInput, NotModelled

DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8"}
TEXT_FIELDS = ("text_config", "llm_config", "language_config")
TOWER_FIELDS = ("vision_config", "audio_config")
MAX_NAME = 200
TOWER_NOTE = "read as its text model: the vision or audio tower is not counted"
NATIVE_QUANTIZATION = ("fp8", "mxfp4")
"""Formats in which a model is published first; others are conversions of 16-bit weights."""


def build(config: Mapping[str, object], *, id: str | None = None, where: str = "config") -> ModelSpec:
    """The dimensions of the model that a configuration describes.

    ``config`` has the keys of Hugging Face's ``config.json``; a nested text configuration is read as the text model.
    ``where`` names the file in messages. Raises BadInput for a field of the wrong type or size, NotModelled for an
    architecture or option without a row in the table.
    """
    outer = Fields(config, where)
    model_type = outer.text("model_type")
    if model_type is None:
        raise BadInput(f"{where}: model_type is missing, expected the name of an architecture")
    notes = []
    if any(outer.table(tower) for tower in TOWER_FIELDS):
        notes.append(TOWER_NOTE)
    inner, text_type, context = text_fields(outer, model_type)
    row = architecture(text_type, context)
    fields = Fields(inner, context, row.defaults)
    for switch, setting in row.unmodelled.items():
        if fields.flag(switch, not setting) is setting:
            raise NotModelled(f"{context}: {model_type} with {switch} = {str(setting).lower()} is not modelled")
    tied = outer.flag("tie_word_embeddings", fields.flag("tie_word_embeddings", row.tied))
    stated = outer.text("_name_or_path") or ""
    name = id or (stated if stated.isprintable() and len(stated) <= MAX_NAME else "") or model_type
    return assemble(fields, row, tied, name, native_dtype(outer, fields, notes), notes)


def text_fields(outer: Fields, model_type: str) -> tuple[Mapping[str, object], str, str]:
    """The text configuration, its ``model_type`` and its place in the file."""
    for name in TEXT_FIELDS:
        inner = outer.table(name)
        if inner is not None:
            context = f"{outer.where}: {name}"
            text_type = Fields(inner, context).text("model_type") or WRAPPERS.get(model_type)
            return inner, text_type or model_type, context
    return outer.values, WRAPPERS.get(model_type) or model_type, outer.where


def native_dtype(outer: Fields, fields: Fields, notes: list[str]) -> str:
    """dtype of the published weights, bf16 with a note where it is not stated."""
    quantization = outer.table("quantization_config") or fields.table("quantization_config")
    if quantization:
        method = Fields(quantization, f"{outer.where}: quantization_config").text("quant_method")
        if method in NATIVE_QUANTIZATION:
            return str(method)
        words = " ".join((method or "method not stated").split())[:40]
        notes.append(f"the checkpoint is quantized ({words}): counted as 16-bit weights")
    name = outer.text("dtype", "torch_dtype") or fields.text("dtype", "torch_dtype")
    if name in DTYPES:
        return DTYPES[name]
    notes.append("the dtype of the weights is not stated: bf16 assumed")
    return "bf16"


def assemble(fields: Fields, row: Architecture, tied: bool, id: str, dtype: str, notes: Sequence[str]) -> ModelSpec:
    """The model from its text fields."""
    blocks, layer_kinds = distinct(row.layers(fields, row))
    hidden = hidden_size(fields)
    context = fields.optional_integer(*CONTEXT, high=MAX_TOKENS)
    positions = 0
    if row.position_offset is not None:
        positions = fields.integer(*CONTEXT, high=MAX_ROWS) + row.position_offset
    embedding = fields.integer_or(hidden, "word_embed_proj_dim", low=1)
    normed = flag(fields, row.final_norm) and not fields.flag("_remove_final_layer_norm", False)
    final = row.norm if normed else None
    return ModelSpec(
        id=id,
        architecture=row.model_type,
        hidden_size=hidden,
        vocab_size=fields.integer(*VOCAB, high=MAX_ROWS),
        blocks=blocks,
        layer_kinds=layer_kinds,
        tie_word_embeddings=tied,
        max_position_embeddings=context,
        position_rows=positions,
        rope_tables=rope_tables(fields),
        embedding_size=embedding if embedding != hidden else None,
        embedding_norm=row.embedding_norm,
        embedding_dropout=drops(fields, row.embedding_dropout),
        final_norm=final,
        head_bias=flag(fields, row.head_bias),
        causal=row.causal,
        logit_softcapping=fields.number("final_logit_softcapping") is not None,
        extra=tuple(row.extra(fields, hidden, len(layer_kinds))) if row.extra else (),
        native_dtype=dtype,
        source=fields.where,
        notes=tuple(notes),
    )


def rope_tables(fields: Fields) -> int:
    """Tables of factors for rotary frequencies, by the kind of their scaling."""
    scaling = fields.table("rope_scaling") or fields.table("rope_parameters") or {}
    kind = scaling.get("rope_type") or scaling.get("type")
    return {"llama3": 1, "longrope": 2, "su": 2}.get(str(kind), 0)


def distinct(layers: Sequence[Block]) -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """The kinds of layers in order of first use, and the kind of each layer."""
    kinds: dict[int, int] = {}
    blocks: list[Block] = []
    for layer in layers:
        # layers of one kind are one object: identity is cheaper than comparing forty fields per layer
        if id(layer) not in kinds:
            kinds[id(layer)] = blocks.index(layer) if layer in blocks else len(blocks)
            if kinds[id(layer)] == len(blocks):
                blocks.append(layer)
    return tuple(blocks), tuple(kinds[id(layer)] for layer in layers)
