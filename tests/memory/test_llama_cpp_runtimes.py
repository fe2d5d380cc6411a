"""What llama-server, llama-cli, Ollama and LM Studio make of the same question."""

from dataclasses import replace
from typing import Any

import pytest

from vram_advisor import api
from vram_advisor.domain.gguf_names import GGUF_ARCHITECTURES, UNWRITTEN_GRAPHS
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.serving import GGUF_RUNTIMES, gguf_serving, runtime_of
from vram_advisor.memory.llama_cpp.habits import LIKE_LLAMA, ROWS
from vram_advisor.memory.llama_cpp.ollama import batch_size, default_context, environment
from vram_advisor.memory.llama_cpp.start import start_of, weights_of
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput, NotModelled

INFERENCE = Workload(method="inference")


def card(name: str) -> Device:
    return device_from_spec(find_gpu(name), 1, "linux")


def start(runtime: Runtime, context: int = 8192, gpu: str = "rtx-4090", **choices: Any) -> LlamaCppOptions:
    """The start of Llama-3.1-8B in Q4_K_M."""
    model = find_model(choices.pop("model", "llama-3.1-8b"))
    workload = Workload(method="inference", context_length=context, num_sequences=choices.pop("num_sequences", 1))
    plan = Plan(runtime=runtime, quantization="q4_k_m", **choices)
    row = gguf_serving(recipe(plan.recipe).name, plan.runtime)
    return start_of(model, workload, plan, row, weights_of(model, plan), card(gpu))


def test_slots_and_batches_of_each_program() -> None:
    server, ollama, studio = (start(runtime) for runtime in ("llama.cpp", "ollama", "lm-studio"))
    assert (server.n_parallel, server.kv_unified, server.n_batch, server.n_ubatch) == (4, True, 2048, 512)
    assert (ollama.n_parallel, ollama.n_batch, ollama.n_ubatch) == (1, 1024, 1024)
    assert (studio.n_parallel, studio.kv_unified, studio.n_batch, studio.n_ubatch) == (4, True, 512, 512)


def test_a_version_is_named_like_a_recipe() -> None:
    """llama-cli runs the server with one slot; builds of 2025 keep logits of a whole batch and write a mask in 32 bits."""
    cli, old = start("llama.cpp", recipe="llama-cli"), start("llama.cpp", recipe="llama-cli-2025")
    assert (cli.n_parallel, cli.outputs, cli.graph) == (1, "slots", "2026")
    assert (old.n_parallel, old.outputs, old.graph) == (1, "batch", "2025")
    assert start("llama.cpp", recipe="llama.cpp-2025").n_parallel == 1


def test_a_version_says_which_program_is_meant() -> None:
    assert runtime_of(INFERENCE, Plan(recipe="llama-cli")) == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(recipe="ollama")) == "ollama"
    assert runtime_of(INFERENCE, Plan(recipe="transformers-4.46")) == "transformers"
    answer = api.check("qwen3-4b", gpu="rtx-4060", method="inference", recipe="llama-cli")
    assert any("runtime llama-cli (llama.cpp v0.5.0" in said for said in answer.assumptions)
    with pytest.raises(BadInput, match="is a version of llama.cpp"):
        api.check("qwen3-4b", gpu="rtx-4060", method="inference", recipe="llama-cli", runtime="ollama")
    with pytest.raises(BadInput, match="serves models and trains none"):
        api.check("qwen3-4b", gpu="rtx-4060", method="lora", recipe="llama-cli")


def test_a_batch_is_not_smaller_than_what_is_computed_together() -> None:
    assert start("llama.cpp", n_ubatch=4096).n_batch == 4096
    assert start("llama.cpp", n_batch=256).n_ubatch == 256


def test_slots_of_ollama_have_the_whole_context_each() -> None:
    options = start("ollama", n_parallel=4)
    assert (options.n_ctx, options.kv_unified) == (4 * 8192, False)


@pytest.mark.parametrize(("gib", "context"), [(8, 4096), (22, 4096), (23, 32_768), (46, 32_768), (48, 131_072)])
def test_context_of_ollama_by_memory(gib: int, context: int) -> None:
    """262,144 tokens from 47 GiB on, which is more than Llama 3.1 has positions for."""
    assert default_context(gib * GIB, find_model("llama-3.1-8b")) == context


@pytest.mark.parametrize(
    ("gpu", "context", "batch"),
    [("rtx-4090", 4096, 512), ("rtx-4090", 8192, 1024), ("rtx-4090", 65_536, 2048), ("rtx-4090", 100_000, 1024)],
)
def test_batch_of_ollama_by_context_and_room(gpu: str, context: int, batch: int) -> None:
    """2,048 are tried above 32,768 tokens and taken where file and cache need 60 % of the memory at most, 1,024 at 75 %."""
    model = find_model("llama-3.1-8b")
    assert batch_size(model, 5 * GIB, context, card(gpu)) == batch
    assert batch_size(model, 5 * GIB, context, card(gpu), flash=False) == 512


def test_what_the_server_of_ollama_is_told() -> None:
    model, device = find_model("llama-3.1-8b"), card("rtx-4090")
    assert environment(start("ollama", 32_768), model, device) == {}
    told = start("ollama", n_parallel=2, flash_attn="on", cache_type_k="q8_0", cache_type_v="q8_0")
    assert environment(told, model, device) == {
        "OLLAMA_CONTEXT_LENGTH": "8192",
        "OLLAMA_NUM_PARALLEL": "2",
        "OLLAMA_FLASH_ATTENTION": "1",
        "OLLAMA_KV_CACHE_TYPE": "q8_0",
    }


@pytest.mark.parametrize(
    ("runtime", "choices", "said"),
    [
        ("ollama", {"n_cpu_moe": 4}, "Ollama has no --n-cpu-moe"),
        ("ollama", {"cache_type_k": "q8_0"}, "OLLAMA_KV_CACHE_TYPE"),
        ("ollama", {"model": "qwen3-next-80b-a3b", "num_sequences": 2}, "with one slot"),
        ("llama.cpp", {"cache_type_k": "fp8"}, "llama.cpp keeps no cache in fp8"),
        ("llama.cpp", {"override_tensor": ("exps",)}, "PATTERN=DEVICE"),
        ("llama.cpp", {"offload": "optimizer"}, "--n-gpu-layers or --n-cpu-moe"),
    ],
)
def test_what_a_program_has_not(runtime: Runtime, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        start(runtime, **choices)


def test_the_program_that_is_meant() -> None:
    """The one that was named, else the one that runs the format."""
    assert runtime_of(INFERENCE, Plan(runtime="ollama")) == "ollama"
    assert runtime_of(INFERENCE, Plan(quantization="q4_k_m")) == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(), "Q4-K-M") == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(quantization="nf4")) == "transformers"
    assert runtime_of(INFERENCE, Plan(cache_type_k="fp8")) == "transformers"
    assert runtime_of(Workload(method="qlora"), Plan()) == "transformers"


def test_llama_cpp_is_meant_where_it_runs_the_model() -> None:
    """OPT has no GGUF file, and AWQ weights are for programs on PyTorch; an option of llama.cpp asks for it by name."""
    llama, opt = find_model("llama-3.1-8b"), find_model("opt-1.3b")
    assert runtime_of(INFERENCE, Plan(), model=llama) == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(), model=opt) == "transformers"
    assert runtime_of(INFERENCE, Plan(), model=replace(llama, native_dtype="awq_int4")) == "transformers"
    assert runtime_of(INFERENCE, Plan(), model=replace(llama, native_dtype="fp8")) == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(n_gpu_layers=9), model=opt) == "llama.cpp"
    assert runtime_of(INFERENCE, Plan(cache_type_k="q8_0"), model=opt) == "llama.cpp"


def test_architectures_without_a_graph_are_known_as_such() -> None:
    assert set(GGUF_ARCHITECTURES) - set(ROWS) - LIKE_LLAMA == UNWRITTEN_GRAPHS


def test_a_model_that_llama_cpp_does_not_run_says_so_once() -> None:
    answer = api.check("opt-1.3b", gpu="rtx-4060", method="inference")
    assert [option.title for option in answer.options] == ["FP16", "Q8", "Q4"]
    assert sum("transformers is assumed" in said for said in answer.warnings) == 1
    named = api.check("opt-1.3b", gpu="rtx-4060", method="inference", runtime="transformers")
    assert not any("is assumed" in said for said in named.warnings)
    with pytest.raises(NotModelled, match="use --runtime transformers"):
        api.check("opt-1.3b", gpu="rtx-4060", method="inference", quantization="q4_k_m")


def test_bits_mean_file_types() -> None:
    """gpt-oss is published in MXFP4, and so is its file."""
    for asked, stored in (("fp16", "fp16"), ("8bit", "q8_0"), ("4bit", "q4_k_m")):
        (option,) = api.check("qwen3-4b", gpu="rtx-4060", method="inference", quantization=asked).options
        assert option.plan.quantization == stored
    titles = [option.title for option in api.check("gpt-oss-20b", gpu="rtx-4090", method="inference").options]
    assert titles == ["MXFP4", "F16", "Q8_0", "Q4_K_M"]


@pytest.mark.parametrize("runtime", sorted(GGUF_RUNTIMES))
def test_three_file_types_are_compared(runtime: Runtime) -> None:
    answer = api.check("qwen3-4b", gpu="rtx-4060", method="inference", runtime=runtime)
    assert [option.title for option in answer.options] == ["F16", "Q8_0", "Q4_K_M"]
    totals = [option.estimate.peak.process_bytes.mid for option in answer.options]
    assert totals == sorted(totals, reverse=True)


def test_an_option_of_llama_cpp_under_another_program_is_refused() -> None:
    with pytest.raises(BadInput, match="--n-gpu-layers is an option of llama.cpp"):
        api.check("qwen3-4b", gpu="rtx-4060", method="inference", runtime="vllm", n_gpu_layers=3)
