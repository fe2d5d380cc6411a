"""An inference run as components: what a person sees, each with its formula and the phases in which it is alive."""

from __future__ import annotations

from collections.abc import Iterable

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.estimate import Component, Phase
from vram_advisor.memory.kv_cache import Cached, cached, symbols
from vram_advisor.memory.loaded import Loaded
from vram_advisor.memory.prompt import Part, share
from vram_advisor.memory.resident import fixed
from vram_advisor.memory.session import Session
from vram_advisor.memory.timeline import symbols as prompt_symbols

LAYERS = "layers played without gradients: docs/method.md"


def resident_components(loaded: Loaded, sequences: int, context: int) -> list[Component]:
    """Weights and buffers."""
    values = symbols(sequences, context)
    return [Component(r.kind, r.label, r.nbytes, r.amounts, values, r.alive, r.reference) for r in loaded.items]


def cache_components(session: Session, part: Part, b: int, filled: int, context: int, before: int) -> list[Component]:
    """The cache of the last step, and that of the prompt of ``filled`` cells where it is another."""
    last = cached(session.model, session.form)
    same = filled == context and [alike(c) for c in part.cache] == [alike(c) for c in last]
    found = [cache_component(session, c, b, context, ("prefill", "decode") if same else ("decode",)) for c in last]
    if not same:
        found += [cache_component(session, c, b, filled, ("prefill",), "prompt_cache") for c in part.cache]
    if before:
        held = (fixed("a second cache", before, "kv_cache"),)
        found.append(
            Component(
                "cache_copy",
                "the cache before the step",
                before,
                held,
                symbols(b, context),
                ("decode",),
                session.serving.source,
            )
        )
    return found


def alike(c: Cached) -> tuple[object, ...]:
    """What makes two groups of a cache the same bytes."""
    return c.kind, c.label, c.limit, tuple(a.size for a in c.amounts)


def cache_component(
    session: Session, c: Cached, b: int, tokens: int, alive: tuple[Phase, ...], kind: str | None = None
) -> Component:
    """One group of layers of the cache, or one GPU's part of it."""
    nbytes = int(share(session, c.nbytes(b, tokens)))
    amounts, label = c.amounts, c.label
    if nbytes != c.nbytes(b, tokens):
        amounts, label = (
            (fixed("share of one GPU", nbytes, c.kind),),
            f"1 of {session.plan.num_gpus} shares of {c.label}",
        )
    if kind:
        label = f"{label} after the prompt"
    return Component(kind or c.kind, label, nbytes, amounts, c.values(b, tokens), alive, c.reference)


def working_components(
    session: Session, part: Part, step: Cached, b: int, prompt: int, context: int
) -> list[Component]:
    """The worst moment of the prompt and of the last step."""
    values = prompt_symbols(session.model, "standard", b, prompt)

    def component(kind: str, label: str, amounts: Iterable[Amount], reference: str) -> Component:
        amounts = tuple(amounts)
        return Component(kind, label, sum(a.nbytes(values) for a in amounts), amounts, values, ("prefill",), reference)

    head = part.is_head
    found = [
        component("inputs", "hidden states, positions, token ids, masks", part.held, "transformers models/llama/modeling_llama.py"),
        component("logits" if head else "working_set", "logits of the prompt" if head else "one layer at work", part.working,
                  session.serving.source if head else LAYERS),
    ]  # fmt: skip
    found.append(
        Component(
            step.kind,
            step.label,
            int(step.nbytes(b, context)),
            step.amounts,
            step.values(b, context),
            ("decode",),
            step.reference,
        )
    )
    return found
