"""The pool of vLLM's cache: what of it is asked for, and how many tokens it holds."""

from __future__ import annotations

from vram_advisor.domain.estimate import Component, Phase
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.memory.kv_cache import Cached, symbols
from vram_advisor.memory.resident import fixed
from vram_advisor.units.bytes import gib

PAGE = 16
"""Tokens of one page of the cache."""
RUNNING: tuple[Phase, ...] = ("prefill", "decode")


def pool_components(asked: tuple[Cached, ...], together: int, pages: int, pool: int) -> list[Component]:
    """The cache of the sequences that run together, and what the pool holds beyond it."""
    reference = "vLLM v1/kv_cache_interface.py"
    values = symbols(together, pages)
    found = [
        Component(
            c.kind, c.label, int(c.nbytes(together, pages)), c.amounts, c.values(together, pages), RUNNING, reference
        )
        for c in asked
    ]
    rest = pool - sum(c.nbytes for c in found)
    if rest:
        amounts = (fixed("pages", rest, "pool"),)
        found.append(
            Component("pool", "rest of the pool", rest, amounts, values, RUNNING, "vLLM gpu_memory_utilization")
        )
    return found


def pool_tokens(asked: tuple[Cached, ...], pool: int, context: int) -> int:
    """Tokens of sequences of the given length that a pool holds."""
    each = sum(int(c.nbytes(1, context)) for c in asked)
    return int(pool / each * context) // PAGE * PAGE if each and pool > 0 else 0


def pool_notes(
    workload: Workload, plan: Plan, pool: int | None, max_num_seqs: int, wanted: int, asked: tuple[Cached, ...]
) -> tuple[str, ...]:
    """What the pool holds, in words."""
    share = f"gpu_memory_utilization {plan.gpu_memory_utilization:g}"
    if pool is None:
        return (
            f"No card is known: the least that runs is counted, with the {max_num_seqs} sequences that vLLM profiles on "
            f"smaller cards; vLLM itself takes all of its share ({share}).",
        )
    if pool <= 0:
        return (
            f"Weights and the profiled batch exceed the share of the card by {gib(-pool)} ({share}): vLLM does not start. "
            "A larger --gpu-memory-utilization or a smaller max_num_seqs leaves more.",
        )
    context = workload.context_length
    tokens = pool_tokens(asked, pool, context)
    said = (
        f"The pool of {gib(pool)} holds {tokens:,} tokens, {tokens / context:.1f} sequences of {context:,} ({share})."
    )
    if wanted <= pool:
        return (said,)
    if tokens < context:
        return (
            said,
            f"One sequence of {context:,} tokens does not fit: vLLM asks for --max-model-len {tokens} or less.",
        )
    together = int(tokens / context)
    return (
        said,
        f"{workload.num_sequences} such sequences do not fit together: vLLM runs {together} and lets the rest wait.",
    )
