"""What a start needs at least and at most, without its graph: enough to tell most plans that fit from those that do not.

At least are weights and caches. The compute buffer is at most what ``ceiling`` says: a bound that is no theorem. Its
parts are those of recorded graphs, with half as much again; graphs of many starts were compared with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.domain.serving import gguf_serving
from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.caches import key_width
from vram_advisor.memory.llama_cpp.gemma import STREAMS, per_layer_input
from vram_advisor.memory.llama_cpp.habits import habits_of
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.occupied import Occupied, occupied
from vram_advisor.memory.llama_cpp.overhead import context_bytes, pool_bytes
from vram_advisor.memory.llama_cpp.parts import OTHER_BUILDS
from vram_advisor.memory.llama_cpp.scheduler import COPIES
from vram_advisor.memory.llama_cpp.session import Sizes, sizes
from vram_advisor.memory.llama_cpp.start import file_type, start_of, weights_of

WRITTEN_STATES = ("mamba2", "gated_delta_net", "short_conv")
"""Kinds of states whose graph is written."""
SPARE = 1.5
"""Of what is computed, so much is allowed for: the allocator leaves gaps."""
STREAMS_ALIVE = 8
"""Tensors of the width of the model that are alive together."""
BROUGHT = 2
"""Weights of system memory that lie on the card at once: one in use, and a gap that another left."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """Bounds of the minimum to run of the fullest GPU: means and standard deviations [B]."""

    least: float
    most: float
    least_sd: float
    most_sd: float


def bracket(model: ModelSpec, workload: Workload, plan: Plan, recipe: Recipe, device: Device | None) -> Bracket | None:
    """Bounds of what ``estimate_llama_cpp`` says; None where only that can say it.

    Raises:
        BadInput, NotModelled: as ``estimate_llama_cpp``, where it is not the graph that raises.
    """
    beside = model.draft is not None or model.projector is not None or model.adapters
    if beside or not model.causal or not plan.num_gpus or plan.split_mode == "row" or refused(model):
        return None
    options = start_of(model, workload, plan, gguf_serving(recipe.name, plan.runtime), weights_of(model, plan), device)
    counted = sizes(options)
    held = occupied(model, "" if model.stored_tensors else file_type(plan), options)
    compute = ceiling(model, options, counted, held)
    context, context_sd = context_bytes(device)
    pool, pool_sd = pool_bytes(model, counted.n_tokens)
    least = max(held.nbytes(gpu) for gpu in range(options.num_gpus)) + context + pool
    return Bracket(
        least,
        least + compute,
        math.hypot(context_sd, pool_sd),
        math.hypot(context_sd, pool_sd, OTHER_BUILDS * compute),
    )


def refused(model: ModelSpec) -> bool:
    """Whether the graph has a layer that is not modelled."""
    return any(
        (block.attention is not None and block.attention.index_n_heads)
        or (block.state is not None and block.state.kind not in WRITTEN_STATES)
        for block in model.blocks
    )


def ceiling(model: ModelSpec, options: LlamaCppOptions, counted: Sizes, held: Occupied) -> float:
    """What a compute buffer hardly exceeds [B]."""
    tokens, cells = counted.n_tokens, counted.cells * counted.streams
    attentions = [block.attention for block in model.blocks if block.attention is not None]
    width = (STREAMS_ALIVE + habits_of(model.architecture).deepstack) * model.hidden_size
    width += max(map(mixed, model.blocks)) + max(fed(block, model.hidden_size) for block in model.blocks)
    # Gemma 3n has several streams, and an input of each layer beside them.
    width += 2 * per_layer_input(model) * model.num_hidden_layers
    if model.architecture == "gemma3n_text":
        width += STREAMS_ALIVE * STREAMS * model.hidden_size
    numbers = tokens * width
    numbers += 2 * counted.n_outputs * model.vocab_size
    # Several GPUs work on several batches at once, each with its mask.
    numbers += 2 * tokens * cells * (COPIES if options.num_gpus > 1 else 1)
    keys = max((key_width(a) + (0 if a.kind == "mla" else a.value_size) for a in attentions), default=0)
    if not held.flash:
        numbers += 2 * tokens * cells * max((a.num_attention_heads for a in attentions), default=0)
    copies = 0
    if options.cache_type_k != "f16" or options.cache_type_v != "f16":
        # Flash attention reads F16.
        copies += 2 * keys * cells
    if held.caches.get(HOST):
        copies += 8 * keys * cells
    brought = max(held.largest, held.output if counted.n_outputs >= cuda.LEAST_ROWS else 0)
    return SPARE * (4 * numbers + copies) + BROUGHT * brought


def mixed(block: Block) -> int:
    """Numbers of a token that are alive while tokens see each other."""
    found = 0
    if (a := block.attention) is not None:
        found += 2 * a.query_size + a.key_size + a.value_size + a.num_attention_heads * a.v_head_dim
        if a.kind == "mla":
            found += 3 * a.num_attention_heads * key_width(a)
    if (s := block.state) is not None:
        found += 6 * s.inner_size if s.kind == "short_conv" else 3 * (s.inner_size + s.conv_channels)
    return found


def fed(block: Block, hidden: int) -> int:
    """Numbers of a token that are alive in the feed-forward part, with ``hidden`` as the width of the model."""
    found = 0 if block.mlp is None else 3 * block.mlp.intermediate_size
    if (e := block.experts) is not None:
        found += e.num_experts_per_tok * (3 * e.moe_intermediate_size + 2 * (e.latent_size or hidden))
        found += 3 * (e.shared_expert_intermediate_size or 0) + 4 * e.num_experts
    return found
