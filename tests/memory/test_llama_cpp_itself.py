"""llama.cpp plans its own buffers for files without weights and starts that are drawn at random; ours are the same."""

import ctypes as c
import os
import random
from pathlib import Path

import pytest
from gguf_of_model import write_model
from llama_cpp_device import Devices, breakdown
from llama_cpp_structs import VARIABLE, Library, Override

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.memory.llama_cpp.memory import Buffers, llama_cpp_memory
from vram_advisor.memory.llama_cpp.model_buffer import EXPERTS
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.catalog_models import find_model

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


def planned(library: Library, devices: Devices, path: Path, options: LlamaCppOptions) -> dict[str, list[int]]:
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
    context.n_outputs_max = 0 if options.outputs == "batch" else options.n_parallel
    context.flash_attn_type = int(options.flash_attn == "on")
    context.type_k, context.type_v = (GGML_TYPES[t.upper()].id for t in (options.cache_type_k, options.cache_type_v))
    context.offload_kqv, context.op_offload = options.kv_offload, options.op_offload
    context.swa_full = options.swa_full
    started = library.new_context(loaded, context)
    assert started, "".join(library.said[-5:])
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
