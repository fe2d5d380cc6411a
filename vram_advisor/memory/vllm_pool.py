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


def pool_components(
    workload: Workload, asked: tuple[Cached, ...], pages: int, wanted: int, shown: int
) -> list[Component]:
    """The cache that was asked for, and what the pool holds beyond it."""
    found = []
    fits = shown >= wanted
    for c in asked:
        nbytes = int(c.nbytes(workload.num_sequences, pages))
        if fits:
            found.append(
                Component(
                    c.kind,
                    c.label,
                    nbytes,
                    c.amounts,
                    c.values(workload.num_sequences, pages),
                    RUNNING,
                    "vLLM v1/kv_cache_interface.py",
                )
            )
    rest = shown - wanted if fits else shown
    if rest:
        label = "rest of the pool" if fits else "pool of the cache, too small for what is asked"
        values = symbols(workload.num_sequences, pages)
        found.append(
            Component(
                "pool", label, rest, (fixed("pages", rest, "pool"),), values, RUNNING, "vLLM gpu_memory_utilization"
            )
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
            f"Weights and the profiled batch exceed the share of the card by {gib(-pool)} ({share}): vLLM does not start.",
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
    return (said, f"{workload.num_sequences} such sequences do not fit together: vLLM runs them one after the other.")
