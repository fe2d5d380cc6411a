"""The model of a GGUF file: dimensions from its metadata, bytes from its tensors."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vram_advisor.domain.architectures import build
from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_shapes import file_shapes
from vram_advisor.domain.model import Attention, Block, ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.sources.gguf import ARCHITECTURE, GgufFile
from vram_advisor.sources.gguf_configs import configuration
from vram_advisor.sources.gguf_keys import GgufKeys
from vram_advisor.sources.gguf_split import read_parts, stem_of
from vram_advisor.sources.json_files import expanded
from vram_advisor.sources.stored import Checkpoint
from vram_advisor.units.errors import BadInput, NotModelled

NATIVE = {"F32": "fp32", "F16": "fp16", "BF16": "bf16", "MXFP4": "mxfp4"}
TOWER = re.compile(r"^(v|mm|a)\.")
"""Tensors of a vision or audio tower, which files of Ollama's own converter hold beside the model."""
LAYER = re.compile(r"blk\.(\d{1,6})\.")
"""Tensors of a layer, with its number."""
TABLES = frozenset({"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
"""Tables of rotary frequencies: a few hundred bytes, no parameters."""
OTHER_KINDS = {"imatrix": "an importance matrix", "mmproj": "the vision or audio tower of a model (mmproj)"}
"""What is no model, by ``general.type``."""


def read_gguf_model(path: str | Path) -> ModelSpec:
    """The model of a ``.gguf`` file, or of the parts that it belongs to.

    Raises:
        BadInput: the file is damaged, not GGUF, or not a model.
        NotModelled: its architecture has no formula here.
    """
    place = expanded(path)
    return gguf_model(read_parts(place), stem_of(place.name), str(place))


def gguf_model(files: Sequence[GgufFile], name: str, source: str) -> ModelSpec:
    """The model of the files whose headers are given, the first of them with the metadata. Raises as above."""
    refuse_others(files[0])
    keys = GgufKeys(files)
    stored = Checkpoint(tuple(keys.tensors.values()), tuple(file.name for file in files))
    if not stored.tensors:
        raise BadInput(f"{files[0].name} holds no weights, only a vocabulary")
    model = as_stored(build(configuration(keys), id=name, where=f"{files[0].name}: metadata"), keys)
    loaded = tuple(tensor for tensor in stored.tensors if not is_predicting(tensor, keys))
    towers = sum(tensor.numel for tensor in loaded if TOWER.match(tensor.name))
    return replace(
        model,
        tower_parameters=towers,
        native_dtype=NATIVE.get(stored.bytes_by_dtype[0][0], "bf16"),
        stored_bytes=stored.bytes_by_dtype,
        stored_tensors=loaded,
        source=source,
        notes=(*model.notes, *remarks(model, stored, loaded)),
    )


def refuse_others(file: GgufFile) -> None:
    """Files that are not a model are refused by what they are. Raises BadInput."""
    kind = file.text("general.type") or ""
    if file.is_adapter:
        base = file.text("general.base_model.0.name")
        raise BadInput(
            f"{file.name} holds a LoRA adapter, not a model: name its base model{f', {base[:80]!r}' if base else ''}"
        )
    if file.is_projector or kind in OTHER_KINDS:
        what = OTHER_KINDS["mmproj" if file.is_projector else kind]
        raise BadInput(f"{file.name} holds {what}, not a model: give the file of the model")
    if not file.architecture:
        raise BadInput(f"{file.name}: general.architecture is missing, expected the name of an architecture")
    if not ARCHITECTURE.fullmatch(file.architecture):
        raise BadInput(
            f"{file.name}: general.architecture is {file.architecture[:60]!r}, expected the name of an architecture"
        )


def is_predicting(tensor: StoredTensor, keys: GgufKeys) -> bool:
    """Whether a tensor is of a layer that predicts further tokens."""
    match = LAYER.match(tensor.name)
    return match is not None and int(match[1]) >= keys.layers


def as_stored(model: ModelSpec, keys: GgufKeys) -> ModelSpec:
    """The model with the biases and norms that its tensors have."""
    blocks = tuple(
        as_block(block, f"blk.{model.layer_kinds.index(index)}", keys) for index, block in enumerate(model.blocks)
    )
    return replace(model, blocks=blocks, head_bias="output.bias" in keys.tensors)


def as_block(block: Block, path: str, keys: GgufKeys) -> Block:
    """One kind of layer with the biases that its first layer has."""
    attention, mlp, experts, state = block.attention, block.mlp, block.experts, block.state

    def has(*stems: str) -> bool:
        return any(f"{path}.{stem}" in keys.tensors for stem in stems)

    if attention is not None:
        attention = as_attention(attention, has("attn_q.bias", "attn_qkv.bias"), has("attn_output.bias"), path, keys)
    if mlp is not None:
        mlp = replace(mlp, bias=has("ffn_up.bias"))
    if experts is not None:
        experts = replace(experts, bias=has("ffn_up_exps.bias"), router_bias=has("ffn_gate_inp.bias"))
    if state is not None:
        state = replace(state, conv_bias=has("ssm_conv1d.bias", "shortconv.conv.bias"))
    return replace(block, attention=attention, mlp=mlp, experts=experts, state=state)


def as_attention(part: Attention, bias: bool, output_bias: bool, path: str, keys: GgufKeys) -> Attention:
    """Attention with the biases and norms of queries and keys that its tensors have."""
    if part.kind == "mla":
        return part
    norm = keys.tensors.get(f"{path}.attn_q_norm.weight")
    kind = part.qk_norm
    if norm is None and kind != "weightless":
        kind = "none"
    elif norm is not None and kind in ("none", "weightless"):
        kind = "head" if norm.numel == part.head_dim else "full"
    return replace(part, qkv_bias=bias, output_bias=output_bias, qk_norm=kind)


def remarks(model: ModelSpec, stored: Checkpoint, loaded: Sequence[StoredTensor]) -> list[str]:
    """What a person should know about the file."""
    found = []
    left_out = stored.nbytes - sum(tensor.nbytes for tensor in loaded)
    if left_out:
        found.append(f"layers that predict further tokens, {left_out:,} bytes, are loaded for drafting only")
    removed = sorted({tensor.dtype for tensor in loaded if GGML_TYPES[tensor.dtype].removed})
    if removed:
        found.append(f"new versions of llama.cpp refuse tensors of the type {', '.join(removed)}: get another file")
    numbers = sum(t.numel for t in loaded if t.name not in TABLES and not TOWER.match(t.name))
    expected = foreseen(model)
    if expected is not None and numbers != expected:
        found.append(f"the file holds {numbers:,} numbers, its metadata explain {expected:,}")
    return found


def foreseen(model: ModelSpec) -> int | None:
    """Numbers in the file of a model of these dimensions; None where its layout is not known."""
    try:
        shapes = file_shapes(model)
    except NotModelled:
        return None
    return sum(StoredTensor(name, "", shape, 0).numel for name, shape in shapes if name not in TABLES)
