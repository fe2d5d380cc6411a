"""Where each weight lies, and the bytes of the model's buffers.

The token embedding stays in system memory; a model whose output layer is that embedding holds it a second time where
the output layer lies. Source: llama.cpp v0.5.0 ``src/llama-model-loader.cpp`` (create_tensor), ``src/llama-arch.cpp``
(LLM_TENSOR_INFOS), ``common/common.h`` (LLM_FFN_EXPS_REGEX).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.builder import Stored
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.session import Layout
from vram_advisor.units.errors import BadInput

INPUT_STEMS = frozenset(("token_embd", "position_embd", "token_types", "per_layer_token_embd"))
"""Tables that are read row by row: they stay in system memory."""
OUTPUT_STEMS = frozenset(("output", "altup_proj", "altup_unembd_proj"))
"""Weights of the output layer."""
PER_DEVICE_STEMS = frozenset(("rope_freqs", "rope_factors_long", "rope_factors_short"))
"""Tables that every place with a layer has."""
HOST_TYPES = frozenset(("TQ1_0", "TQ2_0", "F64", "I8", "I16"))
"""Types that CUDA multiplies by nothing: their weights stay in system memory."""
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"


class Placed(NamedTuple):
    """A weight in one place."""

    tensor: StoredTensor
    place: int
    name: str
    """As the graph calls it: the output layer of a tied model has a name of its own."""
    nbytes: int
    """Bytes in its buffer, alignment included [B]."""


def buffer_bytes(tensor: StoredTensor, place: int) -> int:
    """Bytes of a weight in a buffer, alignment included [B]."""
    if place == HOST:
        return cuda.padded(tensor.nbytes, cuda.HOST_ALIGNMENT)
    if tensor.shape[-1] % cuda.ROW == 0:
        return cuda.padded(tensor.nbytes, cuda.ALIGNMENT)
    return cuda.padded(tensor.nbytes + cuda.row_tail(tensor.dtype, tensor.shape[-1]), cuda.ALIGNMENT)


def overrides(options: LlamaCppOptions) -> list[tuple[re.Pattern[str], int]]:
    """Patterns of tensor names and where their tensors go, in the order in which they are tried.

    Raises:
        BadInput: a pattern is no regular expression, or no device has that name.
    """
    found: list[tuple[re.Pattern[str], int]] = []
    for pattern, device in options.override_tensor:
        try:
            found.append((re.compile(pattern), device_named(device, options.num_gpus)))
        except re.error as error:
            raise BadInput(f"-ot {pattern}: is no regular expression ({error}).") from None
    if options.cpu_moe:
        found.append((re.compile(EXPERTS), HOST))
    if options.n_cpu_moe:
        layers = "|".join(map(str, range(options.n_cpu_moe)))
        found.append((re.compile(rf"blk\.({layers}){EXPERTS}"), HOST))
    return found


def device_named(name: str, gpus: int) -> int:
    """The place of a buffer type by llama.cpp's name."""
    if name.upper() == "CPU":
        return HOST
    match = re.fullmatch(r"CUDA(\d+)", name, re.IGNORECASE)
    if match is None or int(match[1]) >= gpus:
        raise BadInput(f"-ot: {name} is no device here: use CPU or CUDA0 to CUDA{max(0, gpus - 1)}.")
    return int(match[1])


def place_weights(
    tensors: Sequence[StoredTensor], options: LlamaCppOptions, layout: Layout, second_embedding: bool = True
) -> list[Placed]:
    """Every weight where llama.cpp puts it.

    Args:
        second_embedding: a model without an output layer of its own gets a copy of the embedding as one.
    """
    rules = overrides(options)
    names = {tensor.name for tensor in tensors}
    norm = "output_norm" if "output_norm.weight" in names else "token_embd_norm"
    placed: list[Placed] = []
    for tensor in tensors:
        name = tensor.name
        if name.startswith("blk."):
            homes: Iterable[int] = (layout.layers[int(name[4 : name.index(".", 4)])],)
        else:
            homes = places_of(tensor, layout, norm)
        for home in homes:
            place = overridden(tensor, home, rules) if rules or tensor.dtype in HOST_TYPES else home
            placed.append(Placed(tensor, place, name, buffer_bytes(tensor, place)))
        if second_embedding and name == EMBEDDING and OUTPUT not in names:
            place = overridden(tensor, layout.output, rules)
            if place != HOST:
                placed.append(Placed(tensor, place, OUTPUT, buffer_bytes(tensor, place)))
    return placed


def places_of(tensor: StoredTensor, layout: Layout, norm: str) -> Iterable[int]:
    """Where a weight outside the layers belongs before overrides; tables of rotary frequencies are kept once per place with a layer.

    Args:
        norm: the last norm of the model, by its name in the file.
    """
    stem = tensor.name.split(".", 1)[0]
    if stem in INPUT_STEMS:
        return (HOST,)
    if stem in OUTPUT_STEMS or stem == norm:
        return (layout.output,)
    if stem in PER_DEVICE_STEMS:
        return dict.fromkeys(layout.layers)
    return (layout.layers[0],)


def overridden(tensor: StoredTensor, place: int, rules: list[tuple[re.Pattern[str], int]]) -> int:
    """Where a weight goes after overrides."""
    for pattern, home in rules:
        if pattern.search(tensor.name):
            place = home
            break
    return HOST if tensor.dtype in HOST_TYPES else place


def stored(placed: Iterable[Placed]) -> dict[str, Stored]:
    """The weights as the graph sees them, by name."""
    kinds: dict[tuple[str, int], Stored] = {}
    found: dict[str, Stored] = {}
    for p in placed:
        key = (p.tensor.dtype, p.place)
        if key not in kinds:
            kinds[key] = Stored(*key)
        found[p.name] = kinds[key]
    if EMBEDDING in found:
        # A tied output layer in system memory is the embedding itself.
        found.setdefault(OUTPUT, found[EMBEDDING])
    return found


def sizes_by_type(placed: Iterable[Placed], place: int) -> dict[str, tuple[int, int]]:
    """Blocks and padding of the weights in one place: {type: (blocks, bytes of padding [B])}."""
    found: dict[str, tuple[int, int]] = {}
    for p in placed:
        if p.place == place:
            row = GGML_TYPES[p.tensor.dtype]
            blocks, padding = found.get(row.name, (0, 0))
            count = p.tensor.nbytes // row.block_bytes
            found[row.name] = (blocks + count, padding + p.nbytes - count * row.block_bytes)
    return found
