"""What may be changed to make a plan fit: one row per lever.

A row says which moves it has for a plan, what they cost and what they need. Whether they save anything is not said here:
every move is estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from vram_advisor.advice.levers_llama_cpp import experts, flash_attention, in_its_words, layers_on_card, slots
from vram_advisor.domain.advice import Change, Move, Tier
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.optimizer import optimizer
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.tensors import tensors

MOST_OF_A_CARD = 0.95
"""Share of a card that vLLM may take where nothing else runs on it: the CUDA context and what it does not count remain."""
WORKLOAD_FIELDS = frozenset(field.name for field in fields(Workload))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a lever looks at."""

    model: ModelSpec
    workload: Workload
    asked: Plan
    """The plan as asked: moves change this one."""
    plan: Plan
    """The same with every choice made."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lever:
    """One lever."""

    name: str
    title: str
    tier: Tier
    saves: str
    """What it takes memory from."""
    cost: str
    """What it costs in speed and result."""
    needs: str
    """Library, card or system that it needs; empty: nothing."""
    steps: Callable[[Setting], Iterator[Step]]


@dataclass(frozen=True, slots=True)
class Step:
    """One value of a lever."""

    title: str
    values: dict[str, Any]
    quality: float = 0.0
    """What the result loses; halving the rank is 1."""
    cost: str = ""
    """Instead of the lever's."""
    needs: str = ""
    """Instead of the lever's."""


def value(setting: Setting, field: str) -> Any:
    """The present value of a field."""
    return getattr(setting.workload if field in WORKLOAD_FIELDS else setting.plan, field)


def moves(lever: Lever, setting: Setting) -> tuple[Move, ...]:
    """The moves that a lever has for a plan, gentlest first."""
    return tuple(
        Move(
            lever.name,
            in_its_words(step.title, step.values, None if setting.workload.trains else setting.plan.runtime),
            tuple(Change(field, value(setting, field), after) for field, after in step.values.items()),
            lever.tier,
            step.quality,
            step.cost or lever.cost,
            step.needs or lever.needs,
        )
        for step in lever.steps(setting)
    )


def all_moves(setting: Setting) -> tuple[tuple[Move, ...], ...]:
    """The moves of every lever that has any for this plan."""
    found = (moves(lever, setting) for lever in (TRAINING if setting.workload.trains else INFERENCE))
    return tuple(each for each in found if each)


def _loss(s: Setting) -> Iterator[Step]:
    if s.plan.loss == "standard":
        yield Step("loss fused with the output layer (Liger)", {"loss": "liger"})


def _attention(s: Setting) -> Iterator[Step]:
    if s.plan.attn_implementation in ("eager", "sdpa_math"):
        yield Step("attention by scaled_dot_product_attention", {"attn_implementation": "sdpa"})


def _checkpointing(s: Setting) -> Iterator[Step]:
    now = s.plan.gradient_checkpointing
    if now in ("none", "selective"):
        yield Step("compute activations again (gradient checkpointing)", {"gradient_checkpointing": "full"})
    if now in ("none", "selective", "full"):
        yield Step(
            "layer inputs kept in the computer's memory",
            {"gradient_checkpointing": "offload"},
            cost="waits for transfers over PCIe where they are slower than the layers",
            needs="Unsloth, or TRL with activation_offloading",
        )


def _batch(s: Setting) -> Iterator[Step]:
    batch, accumulation = s.workload.micro_batch_size, s.workload.gradient_accumulation_steps
    factor = 2
    while batch % factor == 0:
        yield Step(
            f"micro batch {batch} → {batch // factor}, accumulation {accumulation} → {accumulation * factor}",
            {"micro_batch_size": batch // factor, "gradient_accumulation_steps": accumulation * factor},
        )
        factor *= 2
    if batch > 1 and batch % (factor // 2) == 0 and factor // 2 != batch:
        yield Step(
            f"micro batch {batch} → 1, accumulation {accumulation} → {accumulation * batch}",
            {"micro_batch_size": 1, "gradient_accumulation_steps": accumulation * batch},
        )


def _same_optimizer(s: Setting) -> Iterator[Step]:
    now = s.plan.optimizer or ""
    if now in ("adamw_torch", "adam_mini"):
        yield Step("fused AdamW", {"optimizer": "adamw_torch_fused"}, needs="PyTorch 2.8 on the GPU")
    if now.startswith("adamw") and not optimizer(now).bits:
        yield Step(
            "paged AdamW",
            {"optimizer": "paged_adamw_32bit"},
            cost="slower where its states do not stay on the GPU",
            needs="bitsandbytes",
        )


def _expandable(s: Setting) -> Iterator[Step]:
    if not s.plan.expandable_segments:
        yield Step("PYTORCH_ALLOC_CONF=expandable_segments:True", {"expandable_segments": True})


def _offload(s: Setting) -> Iterator[Step]:
    if s.plan.offload == "none" and s.workload.method == "full":
        yield Step("optimizer states in the computer's memory", {"offload": "optimizer"})
    if s.plan.offload != "parameters" and s.plan.num_gpus > 1:
        shared = {} if s.plan.sharding in ("fsdp_full", "zero3") else {"sharding": "fsdp_full"}
        yield Step(
            "weights shared out and kept in the computer's memory (FSDP2)",
            {**shared, "offload": "parameters"},
            cost="weights cross PCIe in every pass",
            needs="FSDP2 with CPU offload, and system memory for the whole model",
        )


def _sharding(s: Setting) -> Iterator[Step]:
    if s.plan.num_gpus > 1 and s.plan.sharding in ("none", "ddp", "zero1", "zero2"):
        yield Step("weights, gradients and states shared out by FSDP2", {"sharding": "fsdp_full"})


def _quantization(s: Setting) -> Iterator[Step]:
    if s.workload.method == "full":
        return
    bits = quantization(s.plan.quantization).bits
    if bits > 8:
        yield Step("base in 8 bits", {"quantization": "int8"}, 1.0, needs="bitsandbytes")
    if bits > 4:
        yield Step(
            "base in 4 bits (QLoRA)", {"quantization": "nf4_double"}, 2.0, "weights are unpacked in every step",
            "bitsandbytes",
        )  # fmt: skip


def _precision(s: Setting) -> Iterator[Step]:
    if s.workload.method == "full" and s.plan.weights_dtype == "fp32":
        yield Step("weights and states in bf16", {"weights_dtype": "bf16", "mixed_precision": "none"})


def _eight_bit_optimizer(s: Setting) -> Iterator[Step]:
    row = optimizer(s.plan.optimizer or "adamw_torch_fused")
    if not row.bits and row.buffers:
        yield Step("8-bit AdamW", {"optimizer": "adamw_bnb_8bit"}, 0.3)
        yield Step("paged 8-bit AdamW", {"optimizer": "paged_adamw_8bit"}, 0.3)


def _rank(s: Setting) -> Iterator[Step]:
    rank, lost = s.plan.lora_r, 0.0
    while s.workload.method != "full" and rank > 8:
        rank, lost = rank // 2, lost + 1
        yield Step(f"rank {s.plan.lora_r} → {rank}", {"lora_r": rank}, lost)


def _targets(s: Setting) -> Iterator[Step]:
    if s.workload.method == "full" or s.plan.target_modules != ("all-linear",):
        return
    names = dict.fromkeys(t.module for t in tensors(s.model) if t.role == "attention" and t.kind == "linear")
    if names:
        yield Step("adapters on the attention alone", {"target_modules": tuple(names)}, 1.5)
    if {"q_proj", "v_proj"} <= set(names):
        yield Step("adapters on q_proj and v_proj alone", {"target_modules": ("q_proj", "v_proj")}, 2.0)


def _dropout(s: Setting) -> Iterator[Step]:
    if s.plan.lora_dropout:
        yield Step("no dropout in the adapters", {"lora_dropout": 0.0}, 0.3)


def _length(s: Setting) -> Iterator[Step]:
    length, lost = s.workload.sequence_length, 0.0
    while length >= 1024 and lost < 9:
        length, lost = length // 2, lost + 3
        yield Step(f"sequences of {length:,} tokens", {"sequence_length": length}, lost)


def _upcast(s: Setting) -> Iterator[Step]:
    if s.plan.recipe == "transformers-peft-kbit":
        yield Step("without prepare_model_for_kbit_training", {"recipe": "transformers-peft"}, 0.3)


def _method(s: Setting) -> Iterator[Step]:
    if s.workload.method == "full":
        # Weights in fp32 are for the updates of a full fine-tune: a base that stays as it is needs none.
        half = "fp16" if "fp16" in (s.plan.weights_dtype, s.plan.mixed_precision) else "bf16"
        base = {"weights_dtype": "fp16" if half == "fp16" else None, "mixed_precision": None}
        yield Step("an adapter instead of every weight (LoRA)", {"method": "lora", "quantization": half, **base}, 6.0)
        yield Step(
            "an adapter on a base in 4 bits (QLoRA)", {"method": "qlora", "quantization": "nf4_double", **base}, 8.0
        )
    if s.workload.method == "dora":
        yield Step("LoRA instead of DoRA", {"method": "lora"}, 1.0)


_FREE = "no change of the result"
TRAINING: tuple[Lever, ...] = (
    Lever("loss", "fused loss", "same result", "logits", "none: as fast or faster", "liger-kernel", _loss),
    Lever("attention", "attention kernel", "same result", "attention scores", "none: faster", "", _attention),
    Lever("checkpointing", "gradient checkpointing", "same result", "activations", "about a third more time per step", "", _checkpointing),
    Lever("batch", "micro batch", "same result", "activations and logits", "more, smaller steps for the same batch", "", _batch),
    Lever("optimizer", "optimizer of the same result", "same result", "optimizer states", _FREE, "", _same_optimizer),
    Lever("expandable", "expandable segments", "same result", "the allocator's slack", _FREE, "PyTorch on Linux", _expandable),
    Lever("offload", "states or weights on the host", "same result", "optimizer states", "each step waits for the processor and PCIe", "DeepSpeed or FSDP, and system memory", _offload),
    Lever("sharding", "sharding", "same result", "weights, gradients and states", "communication between the GPUs", "", _sharding),
    Lever("quantization", "precision of the base", "same model", "weights", "the base is rounded", "", _quantization),
    Lever("precision", "pure bf16", "same model", "weights, gradients and states", "small updates are rounded away; watch the loss", "", _precision),
    Lever("states", "8-bit states", "same model", "optimizer states", "states are rounded; results hardly differ (arXiv 2110.02861)", "bitsandbytes", _eight_bit_optimizer),
    Lever("rank", "rank", "same model", "adapters and their states", "less can be learnt", "", _rank),
    Lever("targets", "adapted layers", "same model", "adapters and their activations", "less can be learnt", "", _targets),
    Lever("dropout", "adapter dropout", "same model", "dropout masks", "less regularisation", "", _dropout),
    Lever("length", "sequence length", "same model", "activations and logits", "long samples are cut", "", _length),
    Lever("upcast", "fp32 upcast", "same model", "embeddings, norms and the residual stream", "norms run in 16 bits", "", _upcast),
    Lever("method", "method", "another", "gradients and states", "another method", "", _method),
)  # fmt: skip
"""Levers of a fine-tune."""


def _context(s: Setting) -> Iterator[Step]:
    length, lost = s.workload.context_length, 0.0
    while length >= 2048 and lost < 9:
        length, lost = length // 2, lost + 3
        yield Step(f"a context of {length:,} tokens", {"context_length": length}, lost)


def _sequences(s: Setting) -> Iterator[Step]:
    count = s.workload.num_sequences
    while count > 1:
        count //= 2
        yield Step(f"{count} sequence{'s' if count > 1 else ''} at once", {"num_sequences": count})


def _inference_quantization(s: Setting) -> Iterator[Step]:
    from vram_advisor.advice.options import smaller_quantizations

    for name, title, lost in smaller_quantizations(s.plan):
        yield Step(title, {"quantization": name}, lost)


def _cache(s: Setting) -> Iterator[Step]:
    from vram_advisor.advice.options import smaller_caches

    for name, title, lost in smaller_caches(s.plan):
        yield Step(title, {"cache_type_k": name, "cache_type_v": name}, lost)


def _share(s: Setting) -> Iterator[Step]:
    if s.plan.runtime == "vllm" and s.plan.gpu_memory_utilization < MOST_OF_A_CARD:
        yield Step(f"{MOST_OF_A_CARD:.0%} of the card for vLLM", {"gpu_memory_utilization": MOST_OF_A_CARD})


_RAM = "system memory for what leaves the card"
INFERENCE: tuple[Lever, ...] = (
    Lever("flash", "flash attention", "same result", "attention scores", "none: faster", "", flash_attention),
    Lever("slots", "slots of the server", "same result", "KV cache and logits", "fewer requests at the same time", "", slots),
    Lever("experts", "experts in system memory", "same result", "weights", "the processor works on these experts", _RAM, experts),
    Lever("layers", "layers on the card", "same result", "weights and KV cache", "the processor works on the other layers", _RAM, layers_on_card),
    Lever("share", "share of the card", "same result", "what vLLM leaves free", "less is left for other programs", "", _share),
    Lever("sequences", "sequences at once", "same result", "KV cache", "fewer answers at a time", "", _sequences),
    Lever("cache", "type of the KV cache", "same model", "KV cache", "keys and values are rounded", "", _cache),
    Lever("quantization", "precision of the weights", "same model", "weights", "weights are rounded", "", _inference_quantization),
    Lever("context", "context length", "same model", "KV cache", "less is remembered", "", _context),
)  # fmt: skip
"""Levers of inference."""
