"""llama.cpp plans its own buffers for files without weights and starts that are drawn at random; ours are the same.

A draw that fails says its seed: ``LLAMA_CPP_SEED=<seed> pytest -m llama_cpp -k <test>`` draws it again.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from gguf_files import write_gguf
from gguf_of_model import write_model
from llama_cpp_device import Devices
from llama_cpp_plan import adapter_buffers, host_of, planned, sizes
from llama_cpp_starts import LATE
from llama_cpp_structs import VARIABLE, Library

from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES
from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraAdapter
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.adapter_pairs import AdapterPairs
from vram_advisor.memory.llama_cpp.draft import draft_options, drafting
from vram_advisor.memory.llama_cpp.memory import llama_cpp_memory
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
SEED = "LLAMA_CPP_SEED"
FILE_TYPES = ("Q4_K_M", "Q8_0", "F16", "IQ4_XS")


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


def seed_of_a_draw() -> int:
    """A new one, or the one to repeat."""
    return int(os.environ.get(SEED) or random.SystemRandom().getrandbits(32))


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


@pytest.mark.parametrize("draw", range(DRAWS))
@pytest.mark.parametrize("name", MODELS)
def test_every_buffer_is_the_same(library: Library, devices: Devices, tmp_path: Path, name: str, draw: int) -> None:
    seed = seed_of_a_draw()
    dice = random.Random(seed)
    model, file_type, options = find_model(name), dice.choice(FILE_TYPES), drawn(dice, name == "deepseek-v2-lite")
    path = write_model(model, tmp_path / "model.gguf", file_type)
    same_buffers(library, devices, path, model, file_tensors(model, file_type), options, f"{SEED}={seed}")


@pytest.mark.parametrize(("name", "file_type", "nbytes", "options"), LATE)
def test_starts_that_are_easily_missed(
    library: Library,
    devices: Devices,
    tmp_path: Path,
    name: str,
    file_type: str,
    nbytes: int,
    options: LlamaCppOptions,
) -> None:
    model, path = find_model(name), tmp_path / "model.gguf"
    write_model(model, path, file_type)
    assert planned(library, devices, path, options, name)["CUDA0"][2] == nbytes
    same_buffers(library, devices, path, model, file_tensors(model, file_type), options, name)


def same_buffers(
    library: Library,
    devices: Devices,
    path: Path,
    model: ModelSpec,
    tensors: Sequence[StoredTensor],
    options: LlamaCppOptions,
    repeat: str,
) -> None:
    """Model, context and compute of each GPU and of the host; ``repeat`` is said where they differ."""
    found = planned(library, devices, path, options, repeat)
    ours = llama_cpp_memory(model, tensors, options, planned=True)
    assert [sizes(b) for b in ours.gpus] == [found.get(f"CUDA{i}", [0, 0, 0]) for i in range(options.num_gpus)], repeat
    assert sizes(ours.host) == host_of(found, options.num_gpus), repeat


@pytest.mark.parametrize("draw", range(2))
@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "qwen2.5-0.5b", "gemma-3-4b", "phi-3.5-mini", "qwen3-30b-a3b", "granite-3.3-8b"]
)
def test_adapters_at_run_time(library: Library, devices: Devices, tmp_path: Path, name: str, draw: int) -> None:
    seed = seed_of_a_draw()
    dice = random.Random(seed)
    options = drawn(dice, latent=False)
    count = dice.choice((1, 2))
    foreseen = [
        LoraAdapter(
            r=dice.choice((4, 16, 64)),
            target_modules=tuple(dice.sample(LINEAR, dice.randrange(1, len(LINEAR) + 1))),
            type=dice.choice(("F32", "F16")),
        )
        for _ in range(count)
    ]
    same_with_adapters(library, devices, tmp_path, name, options, foreseen, f"{SEED}={seed}")


QUANTIZED = LlamaCppOptions(
    n_ctx=10_000, n_ubatch=64, n_parallel=4, n_gpu_layers=0, n_cpu_moe=3, flash_attn="on", cache_type_k="q4_0", cache_type_v="q8_0"
)  # fmt: skip
PLAIN = LlamaCppOptions(n_ctx=10_000, n_ubatch=16, kv_unified=True, n_gpu_layers=0, flash_attn="off", outputs="batch")
UNEQUAL_RANKS = (
    LoraAdapter(r=4, target_modules=LINEAR, type="F32"),
    LoraAdapter(r=64, target_modules=LINEAR, type="F32"),
)
UNEQUAL_TYPES = (
    LoraAdapter(r=64, target_modules=("attn_q", "attn_v", "ffn_gate"), type="F32"),
    LoraAdapter(r=64, target_modules=LINEAR, type="F16"),
)


@pytest.mark.parametrize(
    ("name", "options", "adapters"),
    [
        ("gemma-3-4b", PLAIN, UNEQUAL_RANKS),
        ("gemma-3-4b", QUANTIZED, UNEQUAL_TYPES),
        ("gemma-2-9b", QUANTIZED, UNEQUAL_TYPES),
    ],
)
def test_the_adapter_that_is_named_last_is_added_first(
    library: Library,
    devices: Devices,
    tmp_path: Path,
    name: str,
    options: LlamaCppOptions,
    adapters: tuple[LoraAdapter, ...],
) -> None:
    """Where two adapters differ, their order decides which holes of the compute buffer their products find."""
    same_with_adapters(library, devices, tmp_path, name, options, adapters, name)


def same_with_adapters(
    library: Library,
    devices: Devices,
    folder: Path,
    name: str,
    options: LlamaCppOptions,
    foreseen: Sequence[LoraAdapter],
    repeat: str,
) -> None:
    """Written by rank as the converter writes them; the buffers of the adapters to the two decimals of the log."""
    model = find_model(name)
    tensors = file_tensors(model, "Q8_0")
    files = []
    for i, lora in enumerate(foreseen):
        pairs = AdapterPairs(lora)
        held = [
            matrix
            for t in tensors
            if len(t.shape) == 2 and (pair := pairs.of(t.name, t.shape[1], t.shape[0]))
            for matrix in (pair.a, pair.b)
        ]
        keys = {
            "general.architecture": GGUF_ARCHITECTURES[model.architecture],
            "general.type": "adapter",
            "adapter.type": "lora",
            "adapter.lora.alpha": 16.0,
        }
        if held:
            files.append(write_gguf(folder / f"adapter{i}.gguf", keys, [(t.name, t.shape, t.dtype) for t in held]))
    if not files:
        return
    path = write_model(model, folder / "model.gguf", "Q8_0")
    found = planned(library, devices, path, options, repeat, files)
    read = [adapter(str(file), Plan(), model) for file in files]
    ours = llama_cpp_memory(model, tensors, replace(options, loras=tuple(read)), planned=True)
    bare = llama_cpp_memory(model, tensors, options, planned=True)
    for i, buffers in enumerate(ours.gpus):
        assert [bare.gpus[i].model, buffers.cache, buffers.compute] == found.get(f"CUDA{i}", [0, 0, 0]), repeat
    assert ours.host.compute == host_of(found, options.num_gpus)[2], repeat
    said = adapter_buffers(library)
    for i, buffers in enumerate(ours.gpus):
        added = (buffers.model - bare.gpus[i].model) / MIB
        assert added == pytest.approx(said.get(f"CUDA{i}", 0.0), abs=0.006 * len(files)), repeat


@pytest.mark.parametrize(
    "pair", [("qwen3-32b", "qwen3-0.6b"), ("llama-3.1-8b", "llama-3.2-1b"), ("gemma-3-27b", "gemma-3-1b")]
)
@pytest.mark.parametrize("draw", range(2))
def test_a_draft_model_beside_its_target(
    library: Library, devices: Devices, tmp_path: Path, pair: tuple[str, str], draw: int
) -> None:
    """Both are started as llama-server starts them: the draft with its own types of cache and the context of the target."""
    seed = seed_of_a_draw()
    repeat = f"{SEED}={seed}"
    dice = random.Random(seed)
    target, small = (find_model(name) for name in pair)
    drafted = dice.choice((1, 3, 16))
    options = drafting(replace(drawn(dice, latent=False), outputs="slots"), drafted)
    path = write_model(target, tmp_path / "target.gguf", "Q4_K_M")
    same_buffers(library, devices, path, target, file_tensors(target, "Q4_K_M"), options, repeat)
    types = dice.choice(("f16", "q8_0")) if options.flash_attn == "on" else "f16"
    started = draft_options(options, dice.choice((-1, 5)), types, types)
    path = write_model(small, tmp_path / "draft.gguf", "Q8_0")
    same_buffers(library, devices, path, small, file_tensors(small, "Q8_0"), started, repeat)
