"""What crosses PCIe: the copies that the scheduler puts between devices.

Of the experts in system memory a batch brings those that its tokens chose; a long prompt chooses nearly all, so all are
counted. Source: llama.cpp v0.5.0 ``ggml/src/ggml-backend.cpp`` (compute_splits).
"""

from __future__ import annotations

from dataclasses import replace

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.offload import Traffic
from vram_advisor.memory.llama_cpp.builder import Builder
from vram_advisor.memory.llama_cpp.habits import habits_of
from vram_advisor.memory.llama_cpp.layers import record
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory
from vram_advisor.memory.llama_cpp.model_buffer import stored
from vram_advisor.memory.llama_cpp.scheduler import Scheduler


def traffic_of(model: ModelSpec, memory: LlamaCppMemory) -> Traffic:
    """Bytes between system memory and GPUs for a token and for a batch of a prompt."""
    slots = memory.sizes.n_seqs
    return Traffic(copied(model, memory, slots) // slots, copied(model, memory, memory.sizes.n_tokens))


def copied(model: ModelSpec, memory: LlamaCppMemory, tokens: int) -> int:
    """Bytes copied between devices for so many tokens, inputs of the batch left out [B]."""
    options = memory.options
    sizes = replace(memory.sizes, n_tokens=tokens, n_outputs=min(tokens, memory.sizes.n_outputs))
    builder = Builder(
        model,
        habits_of(model.architecture),
        options,
        sizes,
        memory.layout,
        memory.caches,
        stored(memory.weights),
        memory.flash,
    )
    record(builder)
    scheduled = Scheduler(options.num_gpus, options.op_offload).schedule(builder.graph)
    return sum(source.nbytes for part in scheduled.parts for source in part.inputs if not source.is_input)
