"""Reading a prompt: one layer after the other works on all its tokens, and the cache fills.

Source: transformers 5.23 ``models/llama/modeling_llama.py`` LlamaModel.forward and its relatives, traced;
``generation/utils.py`` (logits of the last token alone).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from vram_advisor.domain.amount import ZERO, Amount, Size, evaluate, plus
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.entry import enter, masks, shared
from vram_advisor.memory.forward import beside, forward_moments
from vram_advisor.memory.kv_cache import Cached, cached
from vram_advisor.memory.loaded import head_tensor, largest_linear
from vram_advisor.memory.session import Session
from vram_advisor.memory.timeline import symbols
from vram_advisor.units.grid import ceil_div, largest, where


@dataclass(frozen=True, slots=True)
class Part:
    """A moment of the prompt that could be the worst."""

    held: tuple[Amount, ...]
    """Held while layers work: embeddings, positions, token ids, masks."""
    working: tuple[Amount, ...]
    """The layer or the output layer at work."""
    is_head: bool
    cache: tuple[Cached, ...]
    """The cache of the layers that have read the prompt."""
    size: Size
    """Held and working."""

    def nbytes(self, session: Session, sequences: Any, tokens: Any, cells: Any) -> Any:
        """Bytes for so many sequences of so many tokens, in a cache of so many cells each [B]."""
        kept = sum(c.nbytes(sequences, cells) for c in self.cache)
        return evaluate(self.size, symbols(session.model, "standard", sequences, tokens)) + share(session, kept)


def share(session: Session, nbytes: Any) -> Any:
    """One GPU's part of a cache; heads of a split by tensors are counted where the cache is."""
    gpus = session.plan.num_gpus
    return nbytes if gpus == 1 or session.form.parts > 1 else ceil_div(nbytes, gpus)


def total(amounts: Iterable[Amount]) -> Size:
    """Sum of amounts."""
    size = ZERO
    for a in amounts:
        size = plus(size, a.size)
    return size


@lru_cache(maxsize=512)
def parts(session: Session, windowed: bool, few_rows: bool, several: bool) -> tuple[Part, ...]:
    """Each kind of layer where it comes last, then the output layer.

    Args:
        session: the run.
        windowed: sequences are longer than the window of windowed layers.
        few_rows: a 4-bit kernel needs no 16-bit copy of the weight.
        several: more than one sequence.
    """
    model = session.model
    n = replace(session.numerics, windowed=windowed, dequantize=not few_rows)
    entry = enter(model, n, False, True)
    base = (*entry.held, *shared(model, n, False), *masks(model, n), *beside(model, n))
    x = Amount("hidden states", "T", model.hidden_size, n.stream, "activation")
    kinds = model.layer_kinds
    again = copies_again(session) if n.dequantize else ()
    found = []
    for kind in dict.fromkeys(kinds):
        last = len(kinds) - 1 - kinds[::-1].index(kind)
        held = (*base, x.repeated(1 + (last > 0 and entry.holds_input)))
        so_far = cached(model, session.prompt_form, last + 1)
        for moment in forward_moments(model, model.blocks[kind], n, several):
            size = plus(plus(total(held), moment.size), total(again))
            found.append(Part(held, (*moment.amounts, *again), False, so_far, size))
    head = (*logits(session, "prompt"), *dequantised_head(session, few_rows))
    if head:
        found.append(Part((x,), head, True, cached(model, session.prompt_form), plus(x.size, total(head))))
    return prune(found)


def prune(found: list[Part]) -> tuple[Part, ...]:
    """Leave out moments that another with the same cache covers in every symbol."""
    kept: list[Part] = []
    for part in sorted(found, key=lambda p: -sum(p.size)):
        if not any(k.cache is part.cache and all(map(int.__ge__, k.size, part.size)) for k in kept):
            kept.append(part)
    return tuple(kept)


def copies_again(session: Session) -> tuple[Amount, ...]:
    """Further 16-bit copies of a dequantised weight where it is cast once more."""
    more = session.serving.dequantised_copies - 1
    if session.storage.kernel != "bnb_4bit" or not more:
        return ()
    return (Amount("dequantised weight cast again", "one", largest_linear(session), 2, "workspace", more),)


def dequantised_head(session: Session, few_rows: bool) -> tuple[Amount, ...]:
    """The output layer in 16 bit where it is quantised too."""
    head = head_tensor(session)
    if few_rows or head is None or not session.serving.quantises_head or session.storage.kernel != "bnb_4bit":
        return ()
    return (Amount("output layer dequantised", "one", head.numel, 2, "workspace", session.serving.dequantised_copies),)


def logits(session: Session, of: str) -> tuple[Amount, ...]:
    """Logits of every token of the prompt, where the program computes them, or of the last one alone, and in fp32."""
    if of == "prompt" and session.serving.logits != "prompt":
        return ()
    vocab = session.model.vocab_size
    wide = Amount("logits in fp32", "T", vocab, 4, "logits")
    return (
        (Amount("logits", "T", vocab, session.itemsize, "logits"), wide)
        if session.itemsize != 4 or of == "last"
        else (wide,)
    )


def window(model: ModelSpec) -> int | None:
    """The shortest window of the layers [tokens]."""
    sizes = [b.attention.sliding_window for b in model.blocks if b.attention and b.attention.sliding_window]
    return min(sizes, default=None)


def by_variant(session: Session, sequences: Any, tokens: Any, of: Callable[[tuple[Part, ...]], Any]) -> Any:
    """``of`` the moments that run for this many tokens; for arrays, where each variant holds."""
    model = session.model
    shortest = window(model)
    sparse = any(b.attention and b.attention.index_n_heads for b in model.blocks)
    conditions = (
        tokens > shortest if shortest is not None and session.numerics.sdpa else False,
        sequences * tokens <= session.serving.fused_rows if session.storage.kernel == "bnb_4bit" else False,
        sequences > 1 if sparse else False,
    )

    def pick(chosen: tuple[bool, ...]) -> Any:
        if len(chosen) == len(conditions):
            return of(parts(session, *chosen))
        condition = conditions[len(chosen)]
        if isinstance(condition, bool):
            return pick((*chosen, condition))
        return where(condition, pick((*chosen, True)), pick((*chosen, False)))

    return pick(())


def worst(session: Session, sequences: int, tokens: int, cells: int) -> tuple[int, Part]:
    """The worst moment of a prompt and its bytes [B]."""
    found: tuple[Part, ...] = by_variant(session, sequences, tokens, lambda these: these)
    best = max(found, key=lambda part: int(part.nbytes(session, sequences, tokens, cells)))
    return int(best.nbytes(session, sequences, tokens, cells)), best


def prompt_bytes(session: Session, sequences: Any, tokens: Any, cells: Any) -> Any:
    """Bytes of the worst moment beside what stays, numbers or arrays [B]."""
    return by_variant(
        session, sequences, tokens, lambda these: largest(*(p.nbytes(session, sequences, tokens, cells) for p in these))
    )
