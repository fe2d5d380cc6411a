"""Levers of the programs that run llama.cpp: what is left in system memory, slots, flash attention.

What leaves the card is worked on by the processor, and its price is the time that system memory takes. Titles say a
setting as the program takes it: llama.cpp has the flags of this program, Ollama parameters of a Modelfile and variables
of its server, LM Studio load parameters (sources: ollama ``api/types.go``, ``envconfig/config.go``; lmstudio-js
``LLMLoadModelConfig``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vram_advisor.domain.serving import GGUF_RUNTIMES, gguf_serving

if TYPE_CHECKING:
    from vram_advisor.advice.levers import Setting, Step

PARTS = 6
"""Steps from all layers on the card to none: each is an estimate of a whole graph. ``advice.offload`` is exact to the layer."""
WITH_EXPERTS_APART = ("llama.cpp",)
"""Programs that can be told to leave the experts of some layers in system memory."""

Words = Callable[[Any], str]
SETTINGS: dict[str, dict[str, Words]] = {
    "ollama": {
        "context_length": lambda n: f"num_ctx {n}",
        "n_gpu_layers": lambda n: f"num_gpu {n}",
        "n_parallel": lambda n: f"OLLAMA_NUM_PARALLEL={n}",
        "num_sequences": lambda n: f"OLLAMA_NUM_PARALLEL={n}",
        "cache_type_k": lambda name: f"OLLAMA_KV_CACHE_TYPE={name}",
        "flash_attn": lambda name: f"OLLAMA_FLASH_ATTENTION={int(name == 'on')}",
    },
    "lm-studio": {
        "context_length": lambda n: f"contextLength {n}",
        "n_gpu_layers": lambda n: f"GPU offload of {n} layers, gpu.ratio",
        "n_parallel": lambda n: f"maxParallelPredictions {n}",
        "num_sequences": lambda n: f"maxParallelPredictions {n}",
        "cache_type_k": lambda name: f"llamaKCacheQuantizationType {name}",
        "cache_type_v": lambda name: f"llamaVCacheQuantizationType {name}",
        "flash_attn": lambda name: f"flashAttention {str(name == 'on').lower()}",
    },
}
"""How a program is told a field, where its words are not those of this program."""


def in_its_words(title: str, values: dict[str, Any], runtime: str | None) -> str:
    """The title of a step with the settings of the program that runs it."""
    words = SETTINGS.get(runtime or "", {})
    said = [words[field](after) for field, after in values.items() if field in words]
    return f"{title} ({', '.join(said)})" if said else title


def slots(s: Setting) -> Iterator[Step]:
    """Fewer requests at the same time."""
    from vram_advisor.advice.levers import Step

    if s.plan.runtime not in GGUF_RUNTIMES:
        return
    row = gguf_serving(s.plan.recipe, s.plan.runtime)
    sequences = s.workload.num_sequences
    now = s.plan.n_parallel or max(sequences, row.slots)
    while now > sequences:
        now = max(now // 2, sequences)
        yield Step(f"{now} slot{'s' if now > 1 else ''}", {"n_parallel": now})


def flash_attention(s: Setting) -> Iterator[Step]:
    """On where it was switched off."""
    from vram_advisor.advice.levers import Step

    if s.plan.runtime in GGUF_RUNTIMES and s.plan.flash_attn == "off":
        yield Step("flash attention", {"flash_attn": "on"})


def experts(s: Setting) -> Iterator[Step]:
    """Experts of the first layers in system memory."""
    from vram_advisor.advice.levers import Step

    layers = s.model.num_hidden_layers
    if s.plan.runtime not in WITH_EXPERTS_APART or s.plan.cpu_moe or s.plan.override_tensor:
        return
    if not any(block.experts for block in s.model.blocks):
        return
    for count in steps(s.plan.n_cpu_moe, layers):
        yield Step(f"experts of {count} of {layers} layers in system memory", {"n_cpu_moe": count})


def layers_on_card(s: Setting) -> Iterator[Step]:
    """Fewer layers on the card, the output layer counted as one."""
    from vram_advisor.advice.levers import Step

    if s.plan.runtime not in GGUF_RUNTIMES:
        return
    every = s.model.num_hidden_layers + 1
    now = every if s.plan.n_gpu_layers is None else min(s.plan.n_gpu_layers, every)
    for away in steps(every - now, every):
        yield Step(f"{every - away} of {every} layers on the card", {"n_gpu_layers": every - away})


def steps(now: int, every: int) -> list[int]:
    """Parts of a number, those above the present one."""
    parts = dict.fromkeys(-(-every * part // PARTS) for part in range(1, PARTS + 1))
    return [count for count in parts if count > now]
