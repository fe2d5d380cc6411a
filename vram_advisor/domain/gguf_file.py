"""A GGUF file that is not there: its tensors, its size, from the architecture and the file type.

Sources: llama.cpp v0.5.0 ``src/llama-quant.cpp``, ``conversion/base.py`` (what stays in 32 bits), ggml ``docs/gguf.md``
(the header, data aligned to 32 bytes).

Weights that are published in MXFP4 (gpt-oss) the converter copies; a K-quant of them is counted as made from 16-bit
weights, as the quantizer makes it where it is told to, while published ones often keep MXFP4: their header has to be read.
"""

from functools import lru_cache
from math import prod

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_conditions import Spot, Traits
from vram_advisor.domain.gguf_file_types import BASE, UNQUANTISED, USUAL_IMATRIX, file_type_named
from vram_advisor.domain.gguf_mix import SMALLEST, quantised_type
from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES, Shape
from vram_advisor.domain.gguf_shapes import file_shapes
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.units.grid import ceil_div

__all__ = ["file_bytes", "file_type_named", "gguf_tensors", "header_bytes", "vocabulary_bytes"]

ALIGNMENT = 32
"""Of the data in a file [B]."""
KEYS_BYTES = 16 * 1024
"""Metadata but for the vocabulary [B]: chat template, dimensions, what the quantizer notes (two files of 2024)."""
VOCABULARY_BYTES: dict[int, int] = {
    32000: 700_000,
    128256: 7_800_000,
    151936: 5_930_000,
    152064: 5_930_000,
    256000: 6_000_000,
    262144: 6_140_000,
    262208: 6_140_000,
    262400: 6_140_000,
}
"""Tokens, their types, scores or merges in a file [B], by the size of the vocabulary: Llama 2, Llama 3, Qwen 2, Gemma to
Gemma 3n."""
TOKEN_BYTES = 40
"""The same per token of another vocabulary [B]; those above have 22 to 61."""
MERGES_TOO = {"gemma4_text": 15_000_000}
"""The same of vocabularies that share their size with one above but list merges too [B]; an estimate."""
CONVERTED = UNQUANTISED | {"Q8_0"}
"""File types that the converter makes itself; experts that are published in MXFP4 it copies."""
PARTS = {
    "output": "output", "token_embd": "token_embd", "per_layer_token_embd": "token_embd", "attn_v": "attn_v",
    "attn_qkv": "attn_v", "attn_kv_b": "attn_v", "attn_k": "attn_k", "attn_q": "attn_q", "attn_output": "attn_output",
}  # fmt: skip
"""Parts of the rules by stem."""
FEED_FORWARD = ("ffn_up", "ffn_gate", "ffn_down")
PLAIN_STEMS = frozenset({
    "ffn_gate_inp", "ffn_gate_inp_shexp", "position_embd", "token_types", "ssm_conv1d", "shortconv.conv",
    "altup_correct_coef", "altup_predict_coef",
})  # fmt: skip
"""Small weights that the converter writes in 32 bits."""
HALF_STEMS = ("altup", "laurel", "per_layer_model_proj")
"""Beginnings of weights that the quantizer leaves as they came, in 16 bits."""
COUNTED_HEADS = frozenset({"gated_delta_net"})
"""Layers with a state in models whose file gives one number of heads for all layers; others give one per layer."""
EIGHTY_LAYERS = frozenset({"olmo", "qwen2"})
"""Architectures beside Llama whose shape of 80 layers the quantizer calls 70B."""


@lru_cache(maxsize=64)
def gguf_tensors(model: ModelSpec, file_type: str, imatrix: bool | None = None) -> tuple[StoredTensor, ...]:
    """The tensors of the file of a model in llama.cpp's order: outside the layers, then layer by layer, by name.

    Args:
        model: the model; towers are a file of their own and not in this one.
        file_type: a name such as Q4_K_M.
        imatrix: whether the quantizer had an importance matrix; None: as files of this type are published.

    Raises:
        BadInput: no such file type.
        NotModelled: llama.cpp does not run the architecture.
    """
    file_type = file_type_named(file_type)
    shapes = file_shapes(model)
    model_traits = traits(model)
    given = file_type in USUAL_IMATRIX if imatrix is None else imatrix
    tied = not any(name == "output.weight" for name, _ in shapes)
    values = sum(
        part_of(name, tied) == "attn_v" and kept(model, name, shape, file_type) is None for name, shape in shapes
    )
    seen: dict[str, int] = {}
    found = []
    for name, shape in shapes:
        dtype = kept(model, name, shape, file_type)
        if dtype is None:
            part = part_of(name, tied)
            place = seen.get(part, 0)
            seen[part] = place + 1
            count = values if part == "attn_v" else model_traits.layers
            if part.startswith("ffn") and model_traits.experts > 1 and file_type not in SMALLEST:
                place = int(name.split(".")[1])
            spot = Spot(part, place, count, shape[-1], BASE[file_type], len(shape) > 2, given, model_traits)
            dtype = quantised_type(file_type, spot)
        found.append(StoredTensor(name, dtype, shape, tensor_bytes(dtype, shape)))
    return tuple(found)


def tensor_bytes(dtype: str, shape: Shape) -> int:
    """Bytes of a tensor whose rows are whole blocks [B]."""
    return GGML_TYPES[dtype].row_bytes(shape[-1]) * prod(shape[:-1])


def stem_of(name: str) -> str:
    """Name of a tensor without its layer and its last word."""
    pieces = name.split(".")
    return ".".join(pieces[2:-1] if pieces[0] == "blk" else pieces[:-1])


def part_of(name: str, tied: bool) -> str:
    """The part of the model that the rules know a tensor by."""
    stem = stem_of(name)
    # the quantizer searches for a part in the name, so an indexer's keys count as keys
    part = PARTS.get(stem.rpartition(".")[2]) or next((p for p in FEED_FORWARD if stem.startswith(p)), "other")
    return "output" if part == "token_embd" and tied else part


def kept(model: ModelSpec, name: str, shape: Shape, file_type: str) -> str | None:
    """Type of a tensor that is not quantised; None: it is."""
    stem = stem_of(name)
    one_row = prod(shape[:-1]) == 1 or shape[-1] == 1
    if one_row or not name.endswith(".weight") or stem.endswith("_norm") or stem in PLAIN_STEMS:
        return "F32"
    if stem.startswith(HALF_STEMS):
        return file_type if file_type in UNQUANTISED else "F16"
    if file_type in CONVERTED:
        if stem == "indexer.proj":
            return "F32"
        if model.native_dtype == "mxfp4" and stem.endswith("_exps"):
            return "MXFP4"
    return None


def traits(model: ModelSpec) -> Traits:
    """What the rules ask about a model."""
    architecture = GGUF_ARCHITECTURES[model.architecture]
    kinds = [model.blocks[kind] for kind in model.layer_kinds]
    attention = kinds[0].attention
    if attention is None and kinds[0].state and kinds[0].state.kind in COUNTED_HEADS:
        attention = next((block.attention for block in kinds if block.attention), None)
    heads, keys = 0, 1
    if attention is not None:
        heads = attention.num_attention_heads
        # latent attention is filed as one key head
        keys = 1 if attention.kind == "mla" else attention.num_key_value_heads
    eighty = len(kinds) == 80
    return Traits(
        layers=len(kinds),
        experts=max((block.experts.num_experts for block in kinds if block.experts), default=0),
        group=heads // keys,
        falcon=architecture == "falcon",
        large=eighty and (architecture in EIGHTY_LAYERS or (architecture == "llama" and heads != keys)),
    )


def vocabulary_bytes(model: ModelSpec) -> tuple[int, float]:
    """Bytes of the vocabulary in a file, and the share by which that may be wrong: little where its family is known [B]."""
    if model.architecture in MERGES_TOO:
        return MERGES_TOO[model.architecture], 0.2
    if model.vocab_size in VOCABULARY_BYTES:
        return VOCABULARY_BYTES[model.vocab_size], 0.05
    return TOKEN_BYTES * model.vocab_size, 0.5


def header_bytes(model: ModelSpec) -> int:
    """The header: names and places of the tensors are counted, vocabulary and other metadata are not [B]."""
    infos = sum(32 + len(name) + 8 * (len(shape) - 1) for name, shape in file_shapes(model))
    return aligned(infos + vocabulary_bytes(model)[0] + KEYS_BYTES)


def file_bytes(model: ModelSpec, file_type: str, imatrix: bool | None = None) -> int:
    """Size of the file of a model [B], the header of ``header_bytes`` included; arguments and errors of ``gguf_tensors``."""
    return header_bytes(model) + sum(aligned(tensor.nbytes) for tensor in gguf_tensors(model, file_type, imatrix))


def aligned(nbytes: int) -> int:
    """Rounded up to the alignment of the data [B]."""
    return int(ceil_div(nbytes, ALIGNMENT)) * ALIGNMENT
