"""A start of llama.cpp with every number resolved: tokens of a batch, cells of the caches, where each layer lies.

Source: llama.cpp v0.5.0 ``src/llama-context.cpp`` (constructor, sched_reserve, graph_reserve),
``src/llama-model.cpp`` (load_tensors), ``src/llama-kv-cache-iswa.cpp``.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from vram_advisor.domain.llama_cpp import ALL_LAYERS, CONTEXT_PADDING, LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.units.errors import BadInput

ROWS_OF_A_SLOT = 1
"""Rows of logits of a slot that drafts nothing."""


UNFUSED_PADDING = 32
"""Cells of a cache without flash attention were a multiple of this in builds of 2025 (``get_padding``)."""


def padded(cells: int, padding: int = CONTEXT_PADDING) -> int:
    """Cells rounded up to a multiple, of 256 in today's builds."""
    return -(-cells // padding) * padding


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens and cells of a run."""

    n_ctx: int
    """Cells over all streams."""
    cells: int
    """Cells of one stream."""
    streams: int
    """Caches side by side: one where slots share it."""
    n_tokens: int
    """Tokens of the batch that is reserved for."""
    n_outputs: int
    """Rows of logits of that batch."""
    n_seqs: int
    """Slots."""
    n_ubatch: int
    padding: int = CONTEXT_PADDING
    """Cells are a multiple of this."""

    def window_cells(self, window: int, full: bool) -> int:
        """Cells of one stream of a layer with a sliding window."""
        if full:
            return self.cells
        slots = self.n_seqs if self.streams == 1 else 1
        return padded(min(self.cells, window * slots + self.n_ubatch), self.padding)


def sizes(options: LlamaCppOptions) -> Sizes:
    """Tokens and cells of a start.

    Raises:
        BadInput: less than one token per slot.
    """
    slots = options.n_parallel
    if options.n_ctx < 1 or options.n_ubatch < 1 or slots < 1:
        raise BadInput("llama.cpp needs at least one token of context, one of a batch and one slot.")
    n_batch = min(options.n_ctx, max(options.n_batch, options.n_ubatch))
    n_ubatch = min(n_batch, options.n_ubatch)
    n_ctx = padded(options.n_ctx)
    cells = n_ctx if options.kv_unified else padded(n_ctx // slots)
    if cells == 0:
        raise BadInput(f"A context of {options.n_ctx} tokens cannot be shared by {slots} slots.")
    n_ctx = cells if options.kv_unified else cells * slots
    tokens = min(n_ctx, n_ubatch)
    rows = n_batch if options.outputs == "batch" else slots * (ROWS_OF_A_SLOT + options.n_draft)
    return Sizes(
        n_ctx=n_ctx,
        cells=cells,
        streams=1 if options.kv_unified else slots,
        n_tokens=-(-tokens // slots) * slots,
        n_outputs=min(tokens, rows),
        n_seqs=slots,
        n_ubatch=n_ubatch,
        # Before flash attention was automatic, builds without it padded to 32.
        padding=UNFUSED_PADDING if options.graph == "2025" and options.flash_attn == "off" else CONTEXT_PADDING,
    )


def single_precision(x: float) -> float:
    """The number as llama.cpp holds it, in 32 bits: a layer on the border of two GPUs depends on it."""
    return float(struct.unpack("f", struct.pack("f", x))[0])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where layers lie: HOST or the number of a GPU."""

    layers: tuple[int, ...]
    output: int
    full: bool
    """Every layer and the output layer are on GPUs."""


def layout(model: ModelSpec, options: LlamaCppOptions, shares: tuple[float, ...] = ()) -> Layout:
    """Spread the last ``n_gpu_layers`` layers over the GPUs.

    Args:
        shares: free memory of the GPUs in any unit, where --tensor-split is not given; empty: equal shares.
    """
    count = model.num_hidden_layers
    asked = count + 1 if options.n_gpu_layers == ALL_LAYERS else options.n_gpu_layers
    if options.num_gpus == 0:
        return Layout((HOST,) * count, HOST, False)
    acting = min(asked, count + 1)
    first = max(count + (options.graph != "2025") - asked, 0)
    single = options.split_mode == "none"
    given = options.tensor_split if any(options.tensor_split) else shares
    split = given if given and not single else (1.0,) * options.num_gpus
    ends = [single_precision(end) for end in accumulate(split, lambda a, b: single_precision(a + b))]
    ends = [single_precision(end / ends[-1]) for end in ends]

    def place(i: int) -> int:
        if i < first or i - first >= acting:
            return HOST
        return (
            options.main_gpu
            if single
            else min(bisect_right(ends, single_precision((i - first) / acting)), len(ends) - 1)
        )

    return Layout(tuple(place(i) for i in range(count)), place(count), asked > count)
