"""Asks llama.cpp itself what it would allocate for a file, a start and adapters, without computing anything."""

import ctypes as c
import re
from collections.abc import Sequence
from pathlib import Path

from llama_cpp_device import Devices, breakdown
from llama_cpp_structs import Library, Override

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.memory.llama_cpp.memory import Buffers
from vram_advisor.memory.llama_cpp.model_buffer import EXPERTS

SPLIT = {"none": 0, "layer": 1}


def planned(
    library: Library, devices: Devices, path: Path, options: LlamaCppOptions, repeat: str, adapters: Sequence[Path] = ()
) -> dict[str, list[int]]:
    """What llama.cpp itself would allocate, by buffer type [B]; ``repeat`` is said before its log where it does not start."""
    model = library.model_params()
    chosen = (c.c_void_p * (options.num_gpus + 1))(*devices.addresses[: options.num_gpus], None)
    model.devices, model.n_gpu_layers, model.split_mode = c.addressof(chosen), options.n_gpu_layers, SPLIT["layer"]
    model.no_alloc, model.load_mode = True, 0
    split = (c.c_float * 16)(*options.tensor_split)
    model.tensor_split = c.addressof(split) if options.tensor_split else None
    patterns = [EXPERTS] if options.cpu_moe else []
    patterns += [rf"blk\.{layer}{EXPERTS}" for layer in range(options.n_cpu_moe)]
    rules = (Override * (len(patterns) + 1))()
    for rule, pattern in zip(rules, patterns, strict=False):
        rule.pattern, rule.buft = pattern.encode(), library.cpu_buffer_type()
    model.tensor_buft_overrides = c.addressof(rules) if patterns else None
    library.said.clear()
    loaded = library.load_model(str(path).encode(), model)
    assert loaded, "\n".join([repeat, *library.said[-5:]])
    context = library.context_params()
    context.n_ctx, context.n_ubatch, context.n_batch = options.n_ctx, options.n_ubatch, options.n_batch
    context.n_seq_max, context.kv_unified = options.n_parallel, options.kv_unified
    rows = options.n_parallel * (1 + options.n_draft)
    context.n_outputs_max = 0 if options.outputs == "batch" else min(options.n_batch, rows)
    context.flash_attn_type = int(options.flash_attn == "on")
    context.type_k, context.type_v = (GGML_TYPES[t.upper()].id for t in (options.cache_type_k, options.cache_type_v))
    context.offload_kqv, context.op_offload = options.kv_offload, options.op_offload
    context.swa_full = options.swa_full
    started = library.new_context(loaded, context)
    assert started, "\n".join([repeat, *library.said[-5:]])
    if adapters:
        loaded_adapters = (c.c_void_p * len(adapters))(
            *(library.load_adapter(loaded, str(path).encode()) for path in adapters)
        )
        assert all(loaded_adapters), "\n".join([repeat, *library.said[-5:]])
        scales = (c.c_float * len(adapters))(*[1.0] * len(adapters))
        library.use_adapters(started, c.addressof(loaded_adapters), len(adapters), c.addressof(scales))
        library.reserve(started)
    found = breakdown(library, started)
    library.free_context(started)
    library.free_model(loaded)
    devices.release()
    return found


def host_of(found: dict[str, list[int]], gpus: int) -> list[int]:
    """Everything that is on no device."""
    host = [sizes for name, sizes in found.items() if name not in {f"CUDA{i}" for i in range(gpus)}]
    return [sum(part) for part in zip(*host, strict=True)]


def sizes(buffers: Buffers) -> list[int]:
    """Model, context and compute."""
    return [buffers.model, buffers.cache, buffers.compute]


def adapter_buffers(library: Library) -> dict[str, float]:
    """What llama.cpp says that it allocated for adapters, by buffer type, several adapters together [MiB]."""
    found: dict[str, float] = {}
    for name, size in re.findall(r"(\S+) LoRA buffer size = +([\d.]+) MiB", "".join(library.said)):
        found[name] = found.get(name, 0.0) + float(size)
    return found
