"""What is known of a start without its graph, against starts with it."""

import random
import re
from typing import Any, get_args

import pytest

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.plan import Plan, Runtime, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.llama_cpp.bracket import bracket
from vram_advisor.memory.llama_cpp.estimate import need_of
from vram_advisor.memory.llama_cpp.memory import llama_cpp_memory
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.occupied import occupied
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import AdvisorError

MODELS = (
    "llama-3.1-8b", "gemma-3-4b", "gemma-3n-e4b", "qwen3-30b-a3b", "gpt-oss-20b", "deepseek-v2-lite", "lfm2-1.2b",
    "granite-4.0-h-tiny", "phi-2", "gpt2-xl", "falcon-7b",
)  # fmt: skip
RUNTIMES = [name for name in get_args(Runtime) if name not in ("transformers", "vllm")]


def drawn(dice: random.Random, layers: int) -> tuple[Workload, Plan]:
    """A start drawn at random."""
    cache = dice.choice([None, None, "q8_0", "q4_0", "f32"])
    plan: dict[str, Any] = {
        "runtime": dice.choice(RUNTIMES),
        "quantization": dice.choice(["fp16", "q8_0", "q4_k_m"]),
        "n_gpu_layers": dice.choice([None, 0, 1, layers // 2, layers]),
        "n_cpu_moe": dice.choice([0, 0, 3, layers]),
        "cache_type_k": cache,
        "cache_type_v": cache,
        "kv_offload": dice.random() < 0.8,
        "flash_attn": dice.choice([None, None, "off"]),
        "n_ubatch": dice.choice([None, None, 64]),
        "num_gpus": dice.choice([1, 1, 2]),
        "override_tensor": dice.choice([(), (), ("ffn_down=CPU",)]),
    }
    length, sequences = dice.choice([256, 4096, 32768]), dice.choice([1, 4])
    return Workload(context_length=length, num_sequences=sequences), Plan(**plan)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_start_needs_lies_between_its_bounds(name: str) -> None:
    """They are no theorem, so they are compared; and what cannot run has no bounds, by the same sentence."""
    dice = random.Random(name)
    model = resolve_model(name)
    compared = 0
    for _ in range(12):
        workload, plan = drawn(dice, model.num_hidden_layers)
        habits = recipe(dice.choice([plan.recipe, "llama.cpp-2025"]) if plan.runtime == "llama.cpp" else plan.recipe)
        try:
            mean, sd = need_of(model, workload, plan, habits, None)
        except AdvisorError as error:
            with pytest.raises(type(error), match=re.escape(str(error))):
                bracket(model, workload, plan, habits, None)
            continue
        found = bracket(model, workload, plan, habits, None)
        assert found is not None
        assert found.least <= mean <= found.most, (workload, plan)
        assert found.least_sd <= sd <= found.most_sd, (workload, plan)
        compared += 1
    assert compared


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "qwen2.5-0.5b", "deepseek-v2-lite", "granite-4.0-h-tiny", "gemma-3n-e4b"]
)
@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"n_gpu_layers": 7, "kv_offload": False},
        {"n_gpu_layers": 0, "graph": "2025"},
        {"n_cpu_moe": 11, "num_gpus": 2},
        {"cpu_moe": True, "n_gpu_layers": 12, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"override_tensor": (("ffn_(up|down)", "CPU"),), "n_gpu_layers": 9},
    ],
    ids=str,
)
def test_what_is_summed_by_groups_is_what_lies_there_one_by_one(name: str, choices: dict[str, Any]) -> None:
    model, options = resolve_model(name), LlamaCppOptions(**choices)
    memory = llama_cpp_memory(model, file_tensors(model, "Q4_K_M"), options)
    held = occupied(model, "Q4_K_M", options)
    for place in (HOST, *range(options.num_gpus)):
        buffers = memory.buffers(place)
        assert held.weights.get(place, 0) == buffers.model
        assert held.caches.get(place, 0) == buffers.cache
    away = [w for w in memory.weights if w.place == HOST]
    assert held.host_experts == sum(w.nbytes for w in away if "_exps." in w.name)
    assert held.host_layers == sum(
        w.nbytes for w in away if w.name.startswith(("blk.", "output")) and "_exps." not in w.name
    )
