"""Levers of llama.cpp, Ollama and LM Studio: each is offered where it exists, estimated, priced, and said in the program's words."""

from typing import Any

import pytest

from vram_advisor import api
from vram_advisor.advice.levers import Setting, all_moves
from vram_advisor.domain.advice import AdviceAnswer, Move
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.sources.catalog_models import find_model

CARD = "rtx-5070"


def moves(model: str = "qwen3-32b", num_sequences: int = 1, **choices: Any) -> dict[str, tuple[Move, ...]]:
    plan = Plan(**({"runtime": "llama.cpp", "quantization": "q4_k_m"} | choices))
    workload = Workload(method="inference", context_length=32768, num_sequences=num_sequences)
    return {found[0].lever: found for found in all_moves(Setting(find_model(model), workload, plan, plan))}


def advice(model: str, runtime: str, context_length: int = 32768, **choices: Any) -> AdviceAnswer:
    return api.advise(
        model, gpu=CARD, method="inference", runtime=runtime, quantization="q4_k_m", context_length=context_length, **choices
    )  # fmt: skip


def values(found: tuple[Move, ...], field: str) -> list[Any]:
    return [change.after for move in found for change in move.changes if change.field == field]


def test_layers_leave_the_card_in_sixths() -> None:
    layers = values(moves()["layers"], "n_gpu_layers")
    assert layers[0] == 65 - 11 and layers[-1] == 0 and layers == sorted(layers, reverse=True)
    assert values(moves(n_gpu_layers=20)["layers"], "n_gpu_layers") == [10, 0]


def test_experts_are_offered_where_a_model_and_a_program_have_them() -> None:
    assert values(moves("qwen3-30b-a3b")["experts"], "n_cpu_moe")[-1] == 48
    assert "experts" not in moves() and "experts" not in moves("qwen3-30b-a3b", cpu_moe=True)
    assert "experts" not in moves("qwen3-30b-a3b", runtime="ollama")


def test_slots_go_down_to_the_sequences_that_were_asked_for() -> None:
    assert values(moves()["slots"], "n_parallel") == [2, 1]
    assert values(moves(num_sequences=2)["slots"], "n_parallel") == [2]
    assert "slots" not in moves(runtime="ollama") and "slots" not in moves(n_parallel=1)


def test_flash_attention_is_a_lever_where_it_is_off() -> None:
    assert values(moves(flash_attn="off")["flash"], "flash_attn") == ["on"]
    assert "flash" not in moves()


@pytest.mark.parametrize("runtime", ["transformers", "vllm"])
def test_other_programs_have_none_of_them(runtime: str) -> None:
    assert not {"layers", "experts", "slots", "flash"} & set(moves(runtime=runtime, quantization="bf16"))


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ("llama.cpp", {"layers": "54 of 65 layers on the card", "cache": "KV cache in 8 bits"}),
        (
            "ollama",
            {
                "layers": "54 of 65 layers on the card (num_gpu 54)",
                "cache": "KV cache in 8 bits (OLLAMA_KV_CACHE_TYPE=q8_0)",
                "context": "a context of 16,384 tokens (num_ctx 16384)",
            },
        ),
        (
            "lm-studio",
            {
                "layers": "54 of 65 layers on the card (GPU offload of 54 layers, gpu.ratio)",
                "cache": "KV cache in 8 bits (llamaKCacheQuantizationType q8_0, llamaVCacheQuantizationType q8_0)",
                "context": "a context of 16,384 tokens (contextLength 16384)",
            },
        ),
    ],
)
def test_a_step_is_said_in_the_words_of_the_program(runtime: str, words: dict[str, str]) -> None:
    found = moves(runtime=runtime)
    assert {lever: found[lever][0].title for lever in words} == words


def test_advice_keeps_the_model_and_has_a_price_in_time() -> None:
    found = advice("qwen3-32b", "llama.cpp")
    kept = [each for each in found.advices if each.model.id == "qwen3-32b"]
    assert kept and all(each.verdict.outcome == "fits" for each in kept)
    layers = [each for each in kept if each.plan.n_gpu_layers is not None]
    assert layers and all(each.relative_time > 1.5 and each.speed is not None for each in layers)
    assert all(term.label != "layers on the processor" for term in found.speed.terms)  # type: ignore[union-attr]


def test_experts_in_system_memory_cost_less_time_than_whole_layers() -> None:
    """A token uses 8 of 128 experts."""
    found = advice("qwen3-30b-a3b", "llama.cpp")
    everything = [*found.advices, *found.front]
    apart = [a for a in everything if a.plan.n_cpu_moe and a.plan.n_gpu_layers is None and len(a.moves) == 1]
    assert apart and found.advices[0].plan.n_cpu_moe
    whole = [a for a in everything if a.plan.n_gpu_layers is not None and not a.plan.n_cpu_moe]
    assert min(a.relative_time for a in apart) < min((a.relative_time for a in whole), default=99.0)


def test_fewer_layers_on_the_card_are_slower() -> None:
    from vram_advisor.advice.pace import Pace
    from vram_advisor.domain.coefficients import NOMINAL
    from vram_advisor.memory.usable import device_from_spec
    from vram_advisor.sources.catalog_gpus import find_gpu

    pace = Pace(device_from_spec(find_gpu(CARD), 1, "linux"), NOMINAL)
    model, workload = find_model("qwen3-32b"), Workload(method="inference", context_length=8192)
    times = [
        pace.seconds(model, workload, Plan(runtime="llama.cpp", quantization="q4_k_m", n_gpu_layers=n))
        for n in (65, 64, 40, 20, 0)
    ]
    assert times == sorted(times) and times[-1] > 4 * times[0]
    assert times[0] == pace.seconds(model, workload, Plan(runtime="llama.cpp", quantization="q4_k_m"))


@pytest.mark.parametrize(
    ("model", "choices"),
    [
        ("qwen3-32b", {"n_gpu_layers": 20}),
        ("qwen3-30b-a3b", {"n_cpu_moe": 20}),
        ("gpt-oss-20b", {"n_gpu_layers": 10, "n_cpu_moe": 5}),
        ("gemma-3-12b", {"n_gpu_layers": 0}),
    ],
)
def test_what_leaves_the_card_is_priced_by_the_bytes_that_the_estimate_has_there(
    model: str, choices: dict[str, Any]
) -> None:
    from vram_advisor.advice.pace import _away
    from vram_advisor.domain.recipe import recipe
    from vram_advisor.memory.llama_cpp.estimate import memory_of
    from vram_advisor.memory.usable import device_from_spec
    from vram_advisor.sources.catalog_gpus import find_gpu

    device = device_from_spec(find_gpu(CARD), 1, "linux")
    plan = Plan(runtime="llama.cpp", quantization="q4_k_m", **choices)
    workload = Workload(method="inference", context_length=8192)
    layers, experts, cache = _away(find_model(model), workload, plan, device)
    memory = memory_of(find_model(model), workload, plan, recipe(plan.recipe), device)
    assert layers + experts == memory.offloaded_bytes
    assert cache == memory.host.cache / (memory.host.cache + sum(b.cache for b in memory.gpus))
