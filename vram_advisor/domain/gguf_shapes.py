"""The tensors of a GGUF file, names and shapes: the list of a model's tensors as llama.cpp's converter writes it.

Not in the file: vision and audio towers (a file of their own, mmproj), modules for multi-token prediction.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from vram_advisor.domain.architectures.row import Names
from vram_advisor.domain.architectures.table import names_of
from vram_advisor.domain.gguf_names import OUTSIDE, Shape, Stems, gguf_architecture, layer_names
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.domain.tensors.layers import layer
from vram_advisor.domain.tensors.model_tensors import after, before
from vram_advisor.units.errors import NotModelled

Entry = tuple[str, Shape]
"""Name in the file, shape as PyTorch writes it."""
LEFT_OUT = ("pooler.",)
"""Weights of a checkpoint that llama.cpp computes without."""
STACKED = ("model.altup_projections.", "model.altup_unembed_projections.")
"""Weights that become one stack (Gemma 3n)."""
STACK_NAMES = ("altup_proj.weight", "altup_unembd_proj.weight")

ROPE_TABLES = {1: ("rope_freqs.weight",), 2: ("rope_factors_long.weight", "rope_factors_short.weight")}
"""Tables of factors for rotary frequencies, by their number."""


@lru_cache(maxsize=64)
def file_shapes(model: ModelSpec) -> tuple[Entry, ...]:
    """Every tensor of the file: those outside the layers first, then layer by layer, each by name.

    Raises:
        NotModelled: llama.cpp does not run the architecture, or weights are known by their number alone.
    """
    gguf_architecture(model)
    names = names_of(model.architecture)
    listed = sorted(outside(model, names))
    blocks = [sorted(inside(model, block, names)) for block in model.blocks]
    for index, kind in enumerate(model.layer_kinds):
        listed += [(f"blk.{index}.{name}", shape) for name, shape in blocks[kind]]
    return tuple(listed)


def outside(model: ModelSpec, names: Names) -> Iterator[Entry]:
    """Tensors outside the layers."""
    stems = OUTSIDE | {
        names.embedding: "token_embd",
        names.embedding_norm or "model.embed_norm": "token_embd_norm",
        names.position or "model.embed_positions": "position_embd",
        names.final_norm: "token_embd_norm" if model.architecture.startswith("lfm2") else "output_norm",
        names.head: "output",
    }
    stacks = dict.fromkeys(STACKED, 0)
    for name, shape, role, kind in (*before(model, names), *after(model, names)):
        if role == "tower" or name.startswith(LEFT_OUT):
            continue
        prefix = next((prefix for prefix in STACKED if name.startswith(prefix)), None)
        if prefix:
            stacks[prefix] += 1
            continue
        if model.architecture == "gemma3n_text" and name.startswith("model.embed_tokens_per_layer"):
            # the converter pads the table to the rows of the token embedding
            shape = (model.vocab_size, shape[1])
        yield renamed(model, name, kind, stems), shape
    for (_, count), stack in zip(stacks.items(), STACK_NAMES, strict=True):
        if count:
            yield stack, (count, model.hidden_size, model.hidden_size)
    if model.architecture == "gemma4_text":
        heads = [block.attention.head_dim for block in model.blocks if block.attention]
        yield "rope_freqs.weight", (max(heads) // 2,)
    elif model.rope_tables:
        rotary = max(block.attention.rotary_dim for block in model.blocks if block.attention)
        yield from ((name, (rotary // 2,)) for name in ROPE_TABLES[model.rope_tables])


def inside(model: ModelSpec, block: Block, names: Names) -> Iterator[Entry]:
    """Tensors of one kind of layer."""
    if block.attention and block.attention.kv_shared:
        # checkpoint and file keep the keys and values that the layer does not use
        block = replace(block, attention=replace(block.attention, kv_shared=False))
    stems, remade = layer_names(model, block, names)
    for name, shape, _, kind in layer(block, model.hidden_size, names):
        if name in remade:
            yield from remade[name]
        else:
            yield renamed(model, name, kind, stems), shape
    if block.experts and block.experts.correction_bias and model.architecture != "deepseek_v2":
        # DeepSeek-V2 selects experts without a correction
        yield "exp_probs_b.bias", (block.experts.num_experts,)
    if model.architecture == "gemma4_text":
        yield "layer_output_scale.weight", (1,)


def renamed(model: ModelSpec, name: str, kind: str, stems: Stems) -> str:
    """The name of a tensor that stays as it is."""
    path, _, suffix = name.rpartition(".")
    stem = stems.get(path)
    if stem is None:
        if name == "altup.correct_output_scale":
            return "altup_correct_scale.weight"
        what = "weights that are known by their number alone" if kind == "counted" else f"the tensor {name}"
        raise NotModelled(f"The GGUF file of {model.id} is not modelled: {what} has no place in it.")
    return f"{stem}.{suffix}"
