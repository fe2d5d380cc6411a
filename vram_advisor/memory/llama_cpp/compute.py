"""The compute buffers: the recorded graph, scheduled and laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.llama_cpp.allocator import Laid, lay_out
from vram_advisor.memory.llama_cpp.builder import Builder, Stored
from vram_advisor.memory.llama_cpp.caches import Caches
from vram_advisor.memory.llama_cpp.gemma import per_layer_input
from vram_advisor.memory.llama_cpp.habits import Habits
from vram_advisor.memory.llama_cpp.layers import record
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.runs import Played, with_short_runs
from vram_advisor.memory.llama_cpp.scheduler import COPIES, Scheduler
from vram_advisor.memory.llama_cpp.session import Layout, Sizes
from vram_advisor.memory.llama_cpp.shorten import shortened


def repeats(model: ModelSpec, habits: Habits, options: LlamaCppOptions) -> bool:
    """Whether every layer of a kind does the same with the compute buffer: it has no inputs of its own."""
    return options.kv_offload and not (
        per_layer_input(model) or habits.deepstack or habits.unrotated != "none" or options.loras
    )


def in_one_place(layout: Layout, stored: Mapping[str, Stored]) -> bool:
    """Whether all layers lie on one GPU with all of their weights."""
    first = layout.layers[0]
    return (
        first != HOST
        and all(place == first for place in layout.layers)
        and all(weight.place == first for name, weight in stored.items() if name.startswith("blk."))
    )


def compute_buffers(
    model: ModelSpec,
    habits: Habits,
    options: LlamaCppOptions,
    sizes: Sizes,
    layout: Layout,
    caches: Caches,
    stored: Mapping[str, Stored],
    flash: bool,
    by_hand: bool = True,
) -> list[Laid]:
    """The compute buffer of each GPU, then that of the host.

    Args:
        by_hand: norms stay with their layer. llama.cpp asks for that when it allocates, and forgets it where it only
            plans (--fit, no_alloc).
    """
    played = Played(model, layout, caches, stored)
    if repeats(model, habits, options):
        if in_one_place(layout, stored):
            played = replace(played, model=replace(model, layer_kinds=shortened(model.layer_kinds)))
        elif options.num_gpus == 1 and not any(block.state for block in model.blocks):
            # Layers with states do not return to where they were behind so few periods.
            played = with_short_runs(model, layout, caches, stored)
    builder = Builder(played.model, habits, options, sizes, played.layout, played.caches, played.stored, flash)
    record(builder)
    if not by_hand:
        builder.graph.pins.clear()
    pipelined = (
        options.num_gpus > 1
        and layout.full
        and options.split_mode == "layer"
        and options.kv_offload
        and not (options.override_tensor or options.cpu_moe or options.n_cpu_moe)
    )
    scheduler = Scheduler(options.num_gpus, options.op_offload, COPIES if pipelined else 1)
    return lay_out(scheduler.schedule(builder.graph), options.num_gpus)
