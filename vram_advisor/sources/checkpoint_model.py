"""A checkpoint and its model: compared where a configuration says what it is, inferred where none does."""

import re
from dataclasses import replace

from vram_advisor.domain.architectures import TOWER_NOTE
from vram_advisor.domain.architectures.fields import MAX_LAYERS, MAX_ROWS, MAX_WIDTH
from vram_advisor.domain.model import Attention, Block, Mlp, ModelSpec
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.sources.stored import Checkpoint
from vram_advisor.units.errors import BadInput

DTYPES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F8_E4M3": "fp8"}
PACKED = frozenset({"U8", "I8", "I32", "U32", "F4"})
"""dtypes in which quantized weights are packed: their elements are not parameters."""
TOWER = re.compile(r"(^|\.)(vision_tower|vision_model|visual|vision_embed_tokens|embed_vision|multi_modal_projector|"
                   r"mm_projector|audio_tower|audio_model|embed_audio|vision_encoder)\.")  # fmt: skip
LAYER = re.compile(r"^model\.layers\.(\d+)\.(.+)$")
LORA = re.compile(r"\.lora_(A|B|embedding)")
HEAD_DIMS = (128, 64, 256, 96, 80, 32)
"""Widths of a head to try where the file does not tell it, the commonest first."""


def native_dtype(stored: Checkpoint) -> str | None:
    """dtype of most bytes in our words; None where it is packed or unknown."""
    return DTYPES.get(stored.bytes_by_dtype[0][0])


def compare(model: ModelSpec, stored: Checkpoint) -> ModelSpec:
    """The model of a configuration with what its checkpoint adds: bytes, dtype, tower; a difference becomes a note."""
    towers = sum(tensor.numel for tensor in stored.tensors if TOWER.search(tensor.name))
    notes = tuple(note for note in model.notes if note != TOWER_NOTE or not towers)
    counted = count_parameters(replace(model, tower_parameters=towers))
    packed = sum(tensor.nbytes for tensor in stored.tensors if tensor.dtype in PACKED)
    if packed:
        notes += (f"the checkpoint packs quantized weights: {packed:,} of its {stored.nbytes:,} bytes",)
    elif stored.numel != counted:
        notes += (f"{difference(stored.numel, counted)}: {explain(model, stored.numel - counted)}",)
    return replace(
        model,
        tower_parameters=towers,
        native_dtype=native_dtype(stored) or model.native_dtype,
        stored_bytes=stored.bytes_by_dtype,
        notes=notes,
    )


def difference(stored: int, counted: int) -> str:
    """How the two counts differ, in words."""
    return f"the checkpoint holds {stored:,} numbers, the configuration counts {counted:,} parameters"


def explain(model: ModelSpec, surplus: int) -> str:
    """A likely reason for a surplus of the checkpoint."""
    width = model.embedding_size or model.hidden_size
    if model.tie_word_embeddings and surplus == model.vocab_size * width:
        return "the tied output layer is stored a second time"
    if surplus < 0:
        return f"{-surplus:,} are missing, the files may be incomplete or of another model"
    return f"{surplus:,} more, such as buffers or layers for multi-token prediction"


def infer_model(stored: Checkpoint, name: str, where: str) -> ModelSpec:
    """The model of a checkpoint without a configuration, where its names are Llama's and explain every tensor.

    What the names cannot tell (width of a head, context, windows) is a note. Raises BadInput otherwise.
    """
    shapes = {tensor.name: tensor.shape for tensor in stored.tensors}
    if any(LORA.search(tensor) for tensor in shapes):
        raise BadInput(f"{where} holds an adapter, not a model: name its base model")
    if any(tensor.dtype in PACKED for tensor in stored.tensors):
        raise BadInput(f"{where} packs quantized weights: put its config.json beside it")
    embedding = shapes.get("model.embed_tokens.weight", ())
    layers = equal_layers(stored, where)
    if len(embedding) != 2 or not layers:
        raise unknown(where, next(iter(shapes)))
    vocab, hidden = embedding
    if not 0 < vocab <= MAX_ROWS or not 0 < hidden <= MAX_WIDTH:
        raise BadInput(
            f"{where}: model.embed_tokens.weight has the shape {list(embedding)}, expected that of a vocabulary"
        )
    block, notes = infer_block(layers[0], hidden, where)
    model = ModelSpec(
        id=name,
        architecture="llama",
        hidden_size=hidden,
        vocab_size=vocab,
        blocks=(block,),
        layer_kinds=(0,) * len(layers),
        tie_word_embeddings="lm_head.weight" not in shapes,
        native_dtype=native_dtype(stored) or "bf16",
        stored_bytes=stored.bytes_by_dtype,
        notes=notes,
    )
    if count_parameters(model) != stored.numel:
        raise BadInput(
            f"{where}: {difference(stored.numel, count_parameters(model))} by Llama's layout: "
            "put its config.json beside it"
        )
    return model


def unknown(where: str, example: str) -> BadInput:
    """The refusal of names that are not Llama's."""
    return BadInput(f"{where}: names like {example[:80]!r} do not tell the model: put its config.json beside it")


def equal_layers(stored: Checkpoint, where: str) -> list[dict[str, tuple[int, ...]]]:
    """The tensors of each layer by name. Raises BadInput where layers differ."""
    found: dict[int, dict[str, tuple[int, ...]]] = {}
    for tensor in stored.tensors:
        match = LAYER.match(tensor.name)
        if match and len(match[1]) < 6:
            found.setdefault(int(match[1]), {})[match[2]] = tensor.shape
    if len(found) > MAX_LAYERS or sorted(found) != list(range(len(found))):
        raise BadInput(f"{where} holds some of the layers only: put its config.json beside it")
    layers = [found[index] for index in range(len(found))]
    if any(layer != layers[0] for layer in layers):
        raise BadInput(f"{where}: its layers differ from each other: put its config.json beside it")
    return layers


def infer_block(layer: dict[str, tuple[int, ...]], hidden: int, where: str) -> tuple[Block, tuple[str, ...]]:
    """The layer that Llama's names describe, and what they cannot tell."""
    rows = {}
    for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"):
        shape = layer.get(f"{part}.weight", ())
        if len(shape) != 2 or shape[1] != hidden or not 0 < shape[0] <= MAX_WIDTH:
            raise unknown(where, f"model.layers.0.{next(iter(layer))}")
        rows[part] = shape[0]
    query, key = rows["self_attn.q_proj"], rows["self_attn.k_proj"]
    notes = ["inferred from names and shapes: context and windows are not in the file"]
    normed = layer.get("self_attn.q_norm.weight", ())
    if len(normed) == 1 and 0 < normed[0] < query and not query % normed[0] and not key % normed[0]:
        head_dim = normed[0]
    else:
        head_dim = next((size for size in HEAD_DIMS if not query % size and not key % size), 0)
        if not head_dim:
            raise BadInput(f"{where}: no width of a head divides {query} and {key}: put its config.json beside it")
        notes.append(f"head_dim is not in the file: {head_dim} assumed; the size of the cache does not depend on it")
    attention = Attention(
        num_attention_heads=query // head_dim,
        num_key_value_heads=key // head_dim,
        head_dim=head_dim,
        v_head_dim=head_dim,
        qkv_bias="self_attn.q_proj.bias" in layer,
        output_bias="self_attn.o_proj.bias" in layer,
        qk_norm="none" if not normed else "head" if normed[0] == head_dim else "full",
        rotary_dim=head_dim,
    )
    mlp = Mlp(rows["mlp.gate_proj"], bias="mlp.gate_proj.bias" in layer)
    norms = sum(1 for name, shape in layer.items() if name.endswith("layernorm.weight") and shape == (hidden,))
    return Block(attention=attention, mlp=mlp, num_norms=norms), tuple(notes)
