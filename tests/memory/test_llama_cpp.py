"""Memory under llama.cpp: logs of real machines, and the laws that every start obeys."""

from dataclasses import replace
from typing import Any

import pytest
from llama_cpp_starts import LATE

from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraAdapter
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.llama_cpp import compute, runs
from vram_advisor.memory.llama_cpp.draft import draft_memory, drafting
from vram_advisor.memory.llama_cpp.estimate import estimate_llama_cpp
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory, llama_cpp_memory
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB, MIB
from vram_advisor.units.errors import BadInput, NotModelled


def started(name: str, file_type: str = "Q4_K_M", planned: bool = False, **choices: Any) -> LlamaCppMemory:
    """One start of a model."""
    model = find_model(name)
    options = replace(LlamaCppOptions(flash_attn="on"), **choices)
    return llama_cpp_memory(model, file_tensors(model, file_type), options, planned=planned)


def test_a_log_of_an_rtx_2060() -> None:
    """Hermes-3-Llama-3.1-8B Q4_0 with 15 of 33 layers under Ollama, June 2026; MiB as printed, with two decimals."""
    memory = started("llama-3.1-8b", "Q4_0", n_ctx=32768, n_batch=512, n_gpu_layers=15)
    gpu, host = memory.gpus[0], memory.host
    printed = [2049.43, 1792.00, 248.00, 2304.00, 48.01, 0.49]
    parts = [gpu.model, gpu.cache, gpu.compute, host.cache, host.compute, host.output]
    assert [nbytes / MIB for nbytes in parts] == pytest.approx(printed, abs=0.006)


def test_a_log_of_qwen3_4b() -> None:
    """Four slots of llama-server. Its build, newer than v0.5.0, prints 85.01 MiB of compute: 2 MiB more."""
    memory = started("qwen3-4b", n_ctx=8192, n_parallel=4, kv_unified=True)
    gpu, host = memory.gpus[0], memory.host
    parts = [gpu.model, host.model, gpu.cache, host.output, gpu.compute, host.compute]
    assert [b / MIB for b in parts] == pytest.approx([2375.91, 304.28, 1152.00, 2.32, 83.01, 18.01], abs=0.006)


@pytest.mark.parametrize(
    ("name", "slots", "expected"),
    [
        ("gemma-3-27b", 1, "10.61"),
        ("gemma-3-27b", 4, "11.83"),
        ("deepseek-v3", 1, "8.58"),
        ("gpt-oss-20b", 1, "3.0"),
        ("qwen3-next-80b-a3b", 1, "3.0"),
    ],
)
def test_cache_of_131072_tokens(name: str, slots: int, expected: str) -> None:
    """Layers with a window, latent keys and layers without a cache: what is left of keys and values [GiB]."""
    memory = started(name, n_ctx=131_072, n_parallel=slots, kv_unified=slots > 1)
    grows = sum(k.nbytes for k in memory.caches.kept if k.kind in ("keys", "values"))
    assert f"{grows / GIB:.{len(expected.partition('.')[2])}f}" == expected


def test_more_of_anything_never_needs_less() -> None:
    base = started("qwen3-4b", n_ctx=8192).gpus[0].total
    assert started("qwen3-4b", n_ctx=16384).gpus[0].total > base
    assert started("qwen3-4b", n_ctx=8192, n_ubatch=1024).gpus[0].total > base
    assert started("qwen3-4b", "Q8_0", n_ctx=8192).gpus[0].total > base
    assert started("qwen3-4b", n_ctx=8192, flash_attn="off").gpus[0].total > base
    assert started("qwen3-4b", n_ctx=8192, outputs="batch").gpus[0].total >= base
    assert started("qwen3-4b", n_ctx=8192, cache_type_k="q8_0", cache_type_v="q8_0").gpus[0].cache < base


def test_layers_move_from_one_side_to_the_other() -> None:
    """Blocks and their cache lie on one side or the other; nothing is lost and nothing is there twice."""
    blocks = {}
    for layers in (0, 1, 12, 24, 37):
        memory = started("qwen3-4b", n_ctx=8192, n_gpu_layers=layers)
        weights = [w for w in memory.weights if w.name.startswith("blk.")]
        assert sum(w.place == 0 for w in weights) == max(0, layers - 1) * len(weights) // 36
        assert memory.gpus[0].cache + memory.host.cache == 1152 * MIB
        blocks[layers] = memory.gpus[0].model
    assert list(blocks.values()) == sorted(blocks.values())


def test_a_tied_output_layer_in_system_memory_is_the_embedding() -> None:
    """A batch's logits are computed on the card, with the embedding copied there in its own type; from llama.cpp."""
    memory = started(
        "qwen2.5-0.5b", n_ctx=10_000, n_gpu_layers=0, outputs="batch", cache_type_k="q8_0", cache_type_v="q8_0"
    )
    assert memory.gpus[0].compute == 463_053_568


def test_experts_stay_in_system_memory() -> None:
    """A card still needs room for one of the host's tensors at a time."""
    whole = started("qwen3-30b-a3b", n_ctx=8192)
    some = started("qwen3-30b-a3b", n_ctx=8192, n_cpu_moe=10)
    none = started("qwen3-30b-a3b", n_ctx=8192, cpu_moe=True)
    assert whole.gpus[0].model > some.gpus[0].model > none.gpus[0].model
    assert whole.offloaded_bytes == 0
    assert some.host.model + some.gpus[0].model == pytest.approx(whole.host.model + whole.gpus[0].model, rel=1e-4)
    assert none.gpus[0].compute > whole.gpus[0].compute
    by_rule = started("qwen3-30b-a3b", n_ctx=8192, override_tensor=((r"\.ffn_(up|down|gate)_exps", "CPU"),))
    assert by_rule.gpus == none.gpus


def test_small_batches_are_computed_where_the_weights_lie() -> None:
    """Below 32 tokens the host's weights are not copied to the card."""
    small = started("qwen3-30b-a3b", n_ctx=8192, cpu_moe=True, n_ubatch=16, n_batch=16)
    assert small.gpus[0].compute < 32 * MIB


def test_several_gpus_keep_four_copies_of_their_inputs() -> None:
    one = started("llama-3.1-8b", n_ctx=32768)
    two = started("llama-3.1-8b", n_ctx=32768, num_gpus=2, planned=True)
    mask, states = 32768 * 512 * 2, 4 * 4096 * 512
    assert two.gpus[0].compute == pytest.approx(one.gpus[0].compute + 3 * mask + 4 * states, abs=MIB)
    assert two.gpus[1].compute == pytest.approx(one.gpus[0].compute + 3 * mask + 8 * states, abs=MIB)
    assert sum(b.cache for b in two.gpus) == one.gpus[0].cache
    # Each card has its own table of rotary frequencies: 64 numbers.
    assert sum(b.model for b in two.gpus) == one.gpus[0].model + 256
    uneven = started("llama-3.1-8b", n_ctx=32768, num_gpus=2, tensor_split=(3.0, 1.0))
    assert uneven.gpus[0].model > 2 * uneven.gpus[1].model
    single = started("llama-3.1-8b", n_ctx=32768, num_gpus=2, split_mode="none")
    assert single.gpus[1].total == 0


def test_slots_share_a_cache_or_have_their_parts() -> None:
    shared = started("gemma-3-4b", n_ctx=16384, n_parallel=4, kv_unified=True)
    apart = started("gemma-3-4b", n_ctx=16384, n_parallel=4)
    full = [sum(k.nbytes for k in m.caches.kept if not k.window) for m in (shared, apart)]
    assert full[0] == full[1]
    assert shared.gpus[0].compute > apart.gpus[0].compute


def test_states_grow_with_slots_and_not_with_context() -> None:
    def states(**choices: Any) -> int:
        kept = started("qwen3-next-80b-a3b", **choices).caches.kept
        return sum(k.nbytes for k in kept if k.kind not in ("keys", "values"))

    assert states(n_ctx=4096) == states(n_ctx=65536)
    assert states(n_ctx=4096, n_parallel=4) == 4 * states(n_ctx=4096)


def test_adapters_weigh_what_their_factors_weigh() -> None:
    """Rank 16 on queries and values of Llama-3.1-8B, F16: 32 layers of (4096 + 4096) and (4096 + 1024) times 16."""
    plain = started("llama-3.1-8b")
    adapted = started("llama-3.1-8b", loras=(LoraAdapter(),))
    assert adapted.gpus[0].model - plain.gpus[0].model == 32 * 16 * (4096 + 4096 + 4096 + 1024) * 2
    assert adapted.gpus[0].compute >= plain.gpus[0].compute


def test_a_draft_asks_for_more_logits() -> None:
    plain, drafting = started("gemma-3-4b", n_ctx=4096), started("gemma-3-4b", n_ctx=4096, n_draft=500)
    assert drafting.gpus[0].compute > plain.gpus[0].compute


def test_a_draft_model_has_buffers_of_its_own() -> None:
    """Qwen3-0.6B beside Qwen3-32B: 28 layers of 1,024 keys and values in 16 bits, whatever the type of the target's."""
    target, small = find_model("qwen3-32b"), find_model("qwen3-0.6b")
    options = drafting(LlamaCppOptions(n_ctx=8192, flash_attn="on", cache_type_k="q8_0", cache_type_v="q8_0"))
    draft = draft_memory(target, small, file_tensors(small, "Q8_0"), options)
    assert options.n_draft == 3
    assert draft.gpus[0].cache == 8192 * 28 * 2 * 1024 * 2
    with pytest.raises(BadInput, match="vocabularies"):
        draft_memory(target, find_model("llama-3.2-1b"), (), options)
    with pytest.raises(NotModelled, match="rolled back"):
        draft_memory(find_model("qwen3-next-80b-a3b"), small, (), options)


def test_a_shortened_model_has_the_same_compute_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("llama-3.1-8b", "gemma-3-4b", "qwen3-next-80b-a3b", "gpt-oss-20b", "deepseek-v2-lite")
    starts: list[dict[str, Any]] = [
        {"n_ctx": n, "flash_attn": f, "outputs": o}
        for n in (1024, 30000)
        for f, o in (("on", "slots"), ("off", "batch"))
    ]
    short = [started(name, **s).compute for name in names for s in starts]
    monkeypatch.setattr(compute, "shortened", lambda kinds: kinds)
    full = [started(name, **s).compute for name in names for s in starts]
    assert [[p.nbytes for p in places] for places in short] == [[p.nbytes for p in places] for places in full]


@pytest.mark.parametrize("n_gpu_layers", [0, 9, 20, -1])
@pytest.mark.parametrize("name", ["qwen3-32b", "glm-4.5", "gpt-oss-20b", "deepseek-v2-lite", "gemma-3-12b"])
def test_shortened_runs_on_host_and_card_have_the_same_compute_buffers(
    name: str, n_gpu_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers in system memory, and experts of some layers: all that is kept when the buffer is fullest is the same."""
    away = 7 if any(block.experts for block in find_model(name).blocks) else 0
    starts: list[dict[str, Any]] = [
        {"n_gpu_layers": n_gpu_layers, "n_cpu_moe": away},
        {"n_gpu_layers": n_gpu_layers, "n_cpu_moe": 4 * away, "n_ctx": 30000, "n_ubatch": 1024},
        {"n_gpu_layers": n_gpu_layers, "flash_attn": "off", "op_offload": False},
    ]
    short = [started(name, **s).compute for s in starts]
    monkeypatch.setattr(runs, "kept_layers", lambda likes: range(len(likes)))
    assert short == [started(name, **s).compute for s in starts]


@pytest.mark.parametrize(("name", "file_type", "nbytes", "options"), LATE)
def test_layers_of_the_host_come_back_late_to_the_buffer_of_the_card(
    name: str, file_type: str, nbytes: int, options: LlamaCppOptions
) -> None:
    """Of equal layers whole cycles are left out, those of the host too."""
    model = find_model(name)
    memory = llama_cpp_memory(model, file_tensors(model, file_type), options, planned=True)
    assert memory.gpus[0].compute == nbytes


@pytest.mark.parametrize(
    ("name", "choices", "error", "said"),
    [
        ("llama-3.1-8b", {"flash_attn": "off", "cache_type_v": "q8_0"}, BadInput, "needs flash attention"),
        ("deepseek-v2-lite", {"cache_type_k": "q8_0"}, BadInput, "in one type"),
        ("llama-3.1-8b", {"split_mode": "row", "num_gpus": 2}, NotModelled, "--split-mode layer"),
        ("gpt-j-6b", {}, NotModelled, "gptj"),
    ],
)
def test_what_llama_cpp_refuses_or_is_not_known(
    name: str, choices: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        started(name, **choices)


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "gemma-3-4b", "qwen3-next-80b-a3b", "gpt-oss-20b", "deepseek-v2-lite"]
)
@pytest.mark.parametrize("layers", [None, 10])
def test_the_components_are_the_number(name: str, layers: int | None) -> None:
    """What is explained sums to what llama.cpp counts as its own, to the byte."""
    model, workload = find_model(name), Workload(method="inference", context_length=16384)
    plan = Plan(runtime="llama.cpp", quantization="q4_k_m", n_gpu_layers=layers)
    device = device_from_spec(find_gpu("rtx-4090"), 1, "linux")
    found = estimate_llama_cpp(model, workload, plan, recipe(plan.recipe), device, NOMINAL)
    assert sum(c.nbytes for c in found.components) == found.peak.allocated_bytes.mid
    for c in found.components:
        assert sum(int(a.nbytes(c.values)) for a in c.amounts) == c.nbytes
    assert found.peak.process_bytes.mid > found.peak.allocated_bytes.mid
