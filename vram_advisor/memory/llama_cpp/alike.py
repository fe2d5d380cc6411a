"""Files of one shape: starts that differ in the bytes of their weights alone, as quantizations of one model do.

A compute buffer holds what products with a weight give, in 32 bits, whatever the type of the weight; only a weight of
system memory may be copied into it as it is. So two files need the same beside their weights where their dimensions, the
places of their weights, and the types that matter are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.memory.llama_cpp.habits import habits_of
from vram_advisor.memory.llama_cpp.model_buffer import EMBEDDING, OUTPUT, Placed, place_weights, stored
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.session import layout, padded
from vram_advisor.memory.llama_cpp.start import weights_of

MULTIPLIED = re.compile(r"(blk\.\d+\.(attn|ffn)_[a-z_]+|output)\.weight")
"""Weights that are read by products, and by norms as their second source."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the memory of a start beside its weights, with the options and the card."""

    model: ModelSpec
    """Without what names it and what its file holds."""
    weights: frozenset[tuple[str, str, int]]
    """Name, type where it matters, place."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """One file by its shape."""

    shape: Shape
    nbytes: int = field(compare=False)
    """Weights on the GPU [B]."""


def shaped(model: ModelSpec, plan: Plan, options: LlamaCppOptions) -> Shaped | None:
    """The shape of a file; None where more than its weights is its own: several GPUs, adapters, a tower, a draft model.

    Raises:
        BadInput, NotModelled: as ``llama_cpp_memory``.
    """
    if options.num_gpus != 1 or options.loras or model.adapters or model.projector or model.draft:
        return None
    shares_embedding = habits_of(model.architecture).shares_embedding
    placed = place_weights(weights_of(model, plan), options, layout(model, options), not shares_embedding)
    nameless = replace(
        model, id="", source="", notes=(), native_dtype="", stored_bytes=(), stored_tensors=(), tower_parameters=0
    )
    return Shaped(Shape(nameless, deciding(placed)), sum(p.nbytes for p in placed if p.place != HOST))


def deciding(placed: Sequence[Placed]) -> frozenset[tuple[str, str, int]]:
    """The weights as the graph sees them, without types that change nothing."""
    seen = stored(placed)
    output = seen.get(OUTPUT)
    # Rows of the embedding are read on the host; a product with it there would have it copied.
    looked_up = {EMBEDDING} if output is not None and output.place != HOST else set()
    return frozenset(
        (name, "" if name in looked_up or (at.place != HOST and MULTIPLIED.fullmatch(name)) else at.type, at.place)
        for name, at in seen.items()
    )


def course(options: LlamaCppOptions) -> tuple[LlamaCppOptions, int]:
    """The options by which memory grows steadily with the context, and cells of the context.

    A context that is shorter than a batch makes the batch shorter: there every length is an option of its own.
    """
    if options.n_ctx < options.n_batch:
        return options, options.n_ctx
    cells = padded(options.n_ctx) if options.kv_unified else options.n_ctx
    return replace(options, n_ctx=options.n_batch), cells
