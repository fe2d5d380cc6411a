"""For what takes the most memory, the option that lowers it: one row per kind of component.

These are pointers, not promises: no figure is given, because only another estimate can give one.
"""

from __future__ import annotations

from collections.abc import Callable

from vram_advisor.domain.answer import Option
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization

WORTH_NAMING = 0.05
"""Share of the peak from which a kind of memory is worth an option."""
MOST = 3
"""More pointers than this are a manual, not a next step."""
SMALLER = "take a smaller model"
"""What is said last: it is another question rather than an answer."""


def levers(option: Option, workload: Workload) -> list[str]:
    """Options that lower the largest parts of the peak, the largest part first."""
    peak = option.estimate.peak
    parts: dict[str, int] = {}
    for component in option.estimate.components:
        if peak.phase in component.alive:
            parts[component.kind] = parts.get(component.kind, 0) + component.nbytes
    found: dict[str, None] = {}
    for kind, nbytes in sorted(parts.items(), key=lambda part: -part[1]):
        if kind in _BY_KIND and nbytes >= WORTH_NAMING * peak.allocated_bytes.mid:
            said = _BY_KIND[kind](option.plan, workload)
            if said:
                found.setdefault(said)
    return sorted(found, key=lambda said: said == SMALLER)[:MOST]


def _weights(plan: Plan, workload: Workload) -> str | None:
    if workload.method == "full":
        return "train an adapter instead of every weight (--method lora)"
    if quantization(plan.quantization).bits > 4:
        return "store the base in fewer bits (--quantization q4)"
    return SMALLER


def _loss(plan: Plan, workload: Workload) -> str | None:
    if workload.trains and plan.loss == "standard":
        return "a loss that never holds all logits (--loss liger or --loss chunked)"
    return _shorter(plan, workload)


def _activations(plan: Plan, workload: Workload) -> str | None:
    if plan.gradient_checkpointing == "none":
        return "compute activations again instead of keeping them (--gradient-checkpointing full)"
    return _shorter(plan, workload)


def _checkpoints(plan: Plan, workload: Workload) -> str | None:
    if plan.gradient_checkpointing in ("full", "selective"):
        return "keep layer inputs in the computer's memory (--gradient-checkpointing offload)"
    return _shorter(plan, workload)


def _optimizer(plan: Plan, workload: Workload) -> str | None:
    if plan.optimizer is not None and "8bit" not in plan.optimizer:
        return "an optimizer with 8-bit states (--optimizer adamw_bnb_8bit)"
    return None


def _shorter(plan: Plan, workload: Workload) -> str | None:
    if not workload.trains:
        return _cache(plan, workload)
    if workload.micro_batch_size > 1:
        return "fewer sequences at once (--micro-batch-size 1, with more --gradient-accumulation-steps)"
    return f"shorter sequences (--sequence-length below {workload.sequence_length})"


def _cache(plan: Plan, workload: Workload) -> str | None:
    if workload.num_sequences > 1:
        return f"fewer sequences at once (--num-sequences below {workload.num_sequences})"
    return f"a shorter context (--context-length below {workload.context_length})"


_BY_KIND: dict[str, Callable[[Plan, Workload], str | None]] = {
    "weights": _weights,
    "loss": _loss,
    "logits": _loss,
    "activations": _activations,
    "checkpoints": _checkpoints,
    "working_set": _shorter,
    "optimizer_state": _optimizer,
    "kv_cache": _cache,
}
