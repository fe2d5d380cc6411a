"""llama.cpp plans its own buffers for files without weights and starts that are drawn at random; ours are the same."""

import ctypes as c
import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from gguf_files import write_gguf
from gguf_of_model import write_model
from llama_cpp_device import Devices, breakdown
from llama_cpp_structs import VARIABLE, Library, Override

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES
from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraAdapter
from vram_advisor.domain.plan import Plan
from vram_advisor.memory.llama_cpp.adapter_pairs import AdapterPairs
from vram_advisor.memory.llama_cpp.draft import draft_options, drafting
from vram_advisor.memory.llama_cpp.memory import Buffers, llama_cpp_memory
from vram_advisor.memory.llama_cpp.model_buffer import EXPERTS
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.companions import LINEAR, adapter
from vram_advisor.units.bytes import MIB

pytestmark = pytest.mark.llama_cpp

MODELS = (
    "llama-3.1-8b", "llama-3.2-1b", "qwen2.5-0.5b", "qwen3-4b", "phi-3.5-mini", "gemma-2-9b", "gemma-3-4b", "mistral-7b-v0.1",
    "qwen3-30b-a3b", "gpt-oss-20b", "deepseek-v2-lite", "qwen3-next-80b-a3b", "lfm2-1.2b", "mamba2-2.7b", "granite-3.3-8b",
)  # fmt: skip
DRAWS = 6
DEVICES = 2
FILE_TYPES = ("Q4_K_M", "Q8_0", "F16", "IQ4_XS")
SPLIT = {"none": 0, "layer": 1}


@pytest.fixture(scope="module")
def library() -> Library:
    if VARIABLE not in os.environ:
        pytest.fail(
            f"{VARIABLE} has to name the folder of llama.cpp's libraries: npm pack @node-llama-cpp/linux-x64@3.22.1"
        )
    return Library()


@pytest.fixture(scope="module")
def devices(library: Library) -> Devices:
    return Devices(library, DEVICES)


def drawn(dice: random.Random, latent: bool) -> LlamaCppOptions:
    """A start that somebody might choose; latent attention has one type of cache."""
    flash = dice.random() < 0.7
    types = ("f16", "q8_0", "q4_0")
    slots = dice.choice((1, 1, 2, 4))
    gpus = dice.choice((1, 1, DEVICES))
    type_v = dice.choice(types) if flash else "f16"
    return LlamaCppOptions(
        n_ctx=dice.choice((1024, 4096, 10_000, 32_768, 65_536)),
        n_ubatch=dice.choice((16, 64, 128, 512, 700, 2048)),
        n_parallel=slots,
        kv_unified=dice.random() < 0.5,
        n_gpu_layers=dice.choice((-1, -1, -1, 0, 1, dice.randrange(2, 30))),
        n_cpu_moe=dice.choice((0, 0, 3)),
        cpu_moe=dice.random() < 0.1,
        num_gpus=gpus,
        tensor_split=(3.0, 2.0) if gpus > 1 and dice.random() < 0.5 else (),
        flash_attn="on" if flash else "off",
        cache_type_k=type_v if latent else dice.choice(types),  # type: ignore[arg-type]
        cache_type_v=type_v,  # type: ignore[arg-type]
        kv_offload=dice.random() < 0.9,
        op_offload=dice.random() < 0.9,
        swa_full=dice.random() < 0.2,
        outputs=dice.choice(("slots", "slots", "batch")),
    )


def planned(
    library: Library, devices: Devices, path: Path, options: LlamaCppOptions, adapters: Sequence[Path] = ()
) -> dict[str, list[int]]:
    """What llama.cpp itself would allocate, by buffer type [B]."""
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
    assert loaded, "".join(library.said[-5:])
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
    assert started, "".join(library.said[-5:])
    if adapters:
        loaded_adapters = (c.c_void_p * len(adapters))(
            *(library.load_adapter(loaded, str(path).encode()) for path in adapters)
        )
        assert all(loaded_adapters), "".join(library.said[-5:])
        scales = (c.c_float * len(adapters))(*[1.0] * len(adapters))
        library.use_adapters(started, c.addressof(loaded_adapters), len(adapters), c.addressof(scales))
        library.reserve(started)
    found = breakdown(library, started)
    library.free_context(started)
    library.free_model(loaded)
    return found


def host_of(found: dict[str, list[int]], gpus: int) -> list[int]:
    """Everything that is on no device."""
    host = [sizes for name, sizes in found.items() if name not in {f"CUDA{i}" for i in range(gpus)}]
    return [sum(part) for part in zip(*host, strict=True)]


def sizes(buffers: Buffers) -> list[int]:
    """Model, context and compute."""
    return [buffers.model, buffers.cache, buffers.compute]


@pytest.mark.parametrize("draw", range(DRAWS))
@pytest.mark.parametrize("name", MODELS)
def test_every_buffer_is_the_same(library: Library, devices: Devices, tmp_path: Path, name: str, draw: int) -> None:
    dice = random.Random(random.SystemRandom().getrandbits(32))
    model, file_type, options = find_model(name), dice.choice(FILE_TYPES), drawn(dice, name == "deepseek-v2-lite")
    found = planned(library, devices, write_model(model, tmp_path / "model.gguf", file_type), options)
    ours = llama_cpp_memory(model, file_tensors(model, file_type), options, planned=True)
    expected = [found.get(f"CUDA{i}", [0, 0, 0]) for i in range(options.num_gpus)]
    assert [sizes(b) for b in ours.gpus] == expected, (file_type, options)
    assert sizes(ours.host) == host_of(found, options.num_gpus), (file_type, options)


def adapter_buffers(library: Library) -> dict[str, float]:
    """What llama.cpp says that it allocated for adapters, by buffer type, several adapters together [MiB]."""
    found: dict[str, float] = {}
    for name, size in re.findall(r"(\S+) LoRA buffer size = +([\d.]+) MiB", "".join(library.said)):
        found[name] = found.get(name, 0.0) + float(size)
    return found


@pytest.mark.parametrize("draw", range(2))
@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "qwen2.5-0.5b", "gemma-3-4b", "phi-3.5-mini", "qwen3-30b-a3b", "granite-3.3-8b"]
)
def test_adapters_at_run_time(library: Library, devices: Devices, tmp_path: Path, name: str, draw: int) -> None:
    """Written by rank as the converter writes them; the buffers of the adapters to the two decimals of the log."""
    dice = random.Random(random.SystemRandom().getrandbits(32))
    model, options = find_model(name), drawn(dice, latent=False)
    count = dice.choice((1, 2))
    foreseen = [
        LoraAdapter(
            r=dice.choice((4, 16, 64)),
            target_modules=tuple(dice.sample(LINEAR, dice.randrange(1, len(LINEAR) + 1))),
            type=dice.choice(("F32", "F16")),
        )
        for _ in range(count)
    ]
    tensors = file_tensors(model, "Q8_0")
    files = []
    for i, lora in enumerate(foreseen):
        held = [
            matrix
            for t in tensors
            if len(t.shape) == 2 and (pair := AdapterPairs(lora).of(t.name, t.shape[1], t.shape[0]))
            for matrix in (pair.a, pair.b)
        ]
        keys = {
            "general.architecture": GGUF_ARCHITECTURES[model.architecture],
            "general.type": "adapter",
            "adapter.type": "lora",
            "adapter.lora.alpha": 16.0,
        }
        if held:
            files.append(write_gguf(tmp_path / f"adapter{i}.gguf", keys, [(t.name, t.shape, t.dtype) for t in held]))
    if not files:
        return
    path = write_model(model, tmp_path / "model.gguf", "Q8_0")
    found = planned(library, devices, path, options, files)
    read = [adapter(str(file), Plan(), model) for file in files]
    ours = llama_cpp_memory(model, tensors, replace(options, loras=tuple(read)), planned=True)
    bare = llama_cpp_memory(model, tensors, options, planned=True)
    for i, buffers in enumerate(ours.gpus):
        assert [bare.gpus[i].model, buffers.cache, buffers.compute] == found.get(f"CUDA{i}", [0, 0, 0]), (read, options)
    assert ours.host.compute == host_of(found, options.num_gpus)[2], (read, options)
    said = adapter_buffers(library)
    for i, buffers in enumerate(ours.gpus):
        assert (buffers.model - bare.gpus[i].model) / MIB == pytest.approx(said.get(f"CUDA{i}", 0.0), abs=0.006 * count)


@pytest.mark.parametrize(
    "pair", [("qwen3-32b", "qwen3-0.6b"), ("llama-3.1-8b", "llama-3.2-1b"), ("gemma-3-27b", "gemma-3-1b")]
)
@pytest.mark.parametrize("draw", range(2))
def test_a_draft_model_beside_its_target(
    library: Library, devices: Devices, tmp_path: Path, pair: tuple[str, str], draw: int
) -> None:
    """Both are started as llama-server starts them: the draft with its own types of cache and the context of the target."""
    dice = random.Random(random.SystemRandom().getrandbits(32))
    target, small = (find_model(name) for name in pair)
    drafted = dice.choice((1, 3, 16))
    options = drafting(replace(drawn(dice, latent=False), outputs="slots"), drafted)
    path = write_model(target, tmp_path / "target.gguf", "Q4_K_M")
    ours = llama_cpp_memory(target, file_tensors(target, "Q4_K_M"), options, planned=True)
    found = planned(library, devices, path, options)
    assert [sizes(b) for b in ours.gpus] == [found.get(f"CUDA{i}", [0, 0, 0]) for i in range(options.num_gpus)], options
    types = dice.choice(("f16", "q8_0")) if options.flash_attn == "on" else "f16"
    started = draft_options(options, dice.choice((-1, 5)), types, types)
    path = write_model(small, tmp_path / "draft.gguf", "Q8_0")
    draft = llama_cpp_memory(small, file_tensors(small, "Q8_0"), started, planned=True)
    found = planned(library, devices, path, started)
    assert [sizes(b) for b in draft.gpus] == [found.get(f"CUDA{i}", [0, 0, 0]) for i in range(options.num_gpus)], (
        started
    )
