"""The compute buffers: the recorded graph, scheduled and laid out."""

from __future__ import annotations

from collections.abc import Mapping

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.llama_cpp.allocator import Laid, lay_out
from vram_advisor.memory.llama_cpp.builder import Builder, Stored
from vram_advisor.memory.llama_cpp.caches import Caches
from vram_advisor.memory.llama_cpp.habits import Habits
from vram_advisor.memory.llama_cpp.layers import record
from vram_advisor.memory.llama_cpp.scheduler import COPIES, Scheduler
from vram_advisor.memory.llama_cpp.session import Layout, Sizes


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
    builder = Builder(model, habits, options, sizes, layout, caches, stored, flash)
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
