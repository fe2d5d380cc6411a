"""Memory of inference with transformers and programs like it, as a timeline: load, prefill, decode.

Weights and workspaces stay. While the prompt is read one layer after the other works on all its tokens; then logits of
the last one are computed; then each step adds a token to the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vram_advisor.domain.amount import ZERO, Amount, Size, evaluate, plus
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Component, Estimate, Peak, Phase, PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe
from vram_advisor.memory.decode import step_moments
from vram_advisor.memory.entry import enter, masks, shared
from vram_advisor.memory.forward import beside, forward_moments
from vram_advisor.memory.kv_cache import Cached, CacheForm, cached, symbols
from vram_advisor.memory.loaded import Loaded, load
from vram_advisor.memory.numbers import interval
from vram_advisor.memory.overhead import communication_bytes, context_bytes, workspace_bytes
from vram_advisor.memory.session import Session, open_session
from vram_advisor.memory.vllm import estimate_vllm
from vram_advisor.units.grid import ceil_div, largest, where

PHASES: tuple[Phase, ...] = ("load", "prefill", "decode")
LAYER = ("working_set", "one layer at work", "layers played without gradients: docs/method.md")
HELD = ("inputs", "embeddings, positions, token ids, masks", "transformers models/llama/modeling_llama.py LlamaModel")
LOGITS = ("logits", "logits and their fp32 copy", "transformers generation/utils.py logits_to_keep=1")
SLACK_CACHE, SLACK_LAYER, SLACK_CONSTANT, SLACK_SD = 0.4, 0.1, 16 * 2**20, 0.5
"""Reserved beyond allocated: shares of the cache and of one layer at work, a constant [B], relative spread. Traced prompts
and steps of ten models replayed by the rules of the caching allocator: 14 MiB to 1.1 GiB."""
WORST = 0.3
"""Share of that slack that remains when the allocator gives back what it can."""


@dataclass(frozen=True, slots=True)
class Part:
    """Amounts that are alive together, each linear in the tokens of a sequence up to a limit."""

    held: tuple[Amount, ...]
    working: tuple[Amount, ...]
    label: tuple[str, str, str]
    cache: tuple[Cached, ...]
    total: Size


@lru_cache(maxsize=512)
def prompt_parts(session: Session, several: bool, windowed: bool, few_rows: bool) -> tuple[Part, ...]:
    """Every moment of a prompt that could be its worst: each kind of layer where it comes last, then the logits."""
    model = session.model
    n = session.numerics
    n = n if (windowed, not few_rows) == (n.windowed, n.dequantize) else _variant(session, windowed, not few_rows)
    entry = enter(model, n, False, True)
    base = (*entry.held, *shared(model, n, False), *masks(model, n), *beside(model, n))
    x = Amount("hidden states", "T", model.hidden_size, n.stream, "activation")
    parts = []
    kinds = model.layer_kinds
    for kind in dict.fromkeys(kinds):
        last = len(kinds) - 1 - kinds[::-1].index(kind)
        held = (*base, x.repeated(1 + (last > 0 and entry.holds_input)))
        so_far = cached(model, session.prompt_form, last + 1)
        for moment in forward_moments(model, model.blocks[kind], n, several):
            parts.append(Part(held, moment.amounts, LAYER, so_far, plus(total(held), moment.size)))
    rows = logit_amounts(session)
    if session.serving.logits == "prompt":
        parts.append(Part((x,), rows, LOGITS, cached(model, session.prompt_form), plus(x.size, total(rows))))
    return tuple(parts)


def _variant(session: Session, windowed: bool, dequantize: bool) -> Any:
    from dataclasses import replace

    return replace(session.numerics, windowed=windowed, dequantize=dequantize)


def total(amounts: Iterable[Amount]) -> Size:
    """Sum of amounts."""
    size = ZERO
    for a in amounts:
        size = plus(size, a.size)
    return size


def logit_amounts(session: Session) -> tuple[Amount, ...]:
    """Logits of one token, in the dtype of the model and in fp32."""
    vocab = session.model.vocab_size
    copies = (Amount("logits", "T", vocab, session.itemsize, "logits"), Amount("logits in fp32", "T", vocab, 4, "logits"))
    return copies if session.itemsize != 4 or session.serving.logits == "last" else copies[:1]


def window(model: ModelSpec) -> int | None:
    """The shortest window of the layers [tokens]."""
    sizes = [b.attention.sliding_window for b in model.blocks if b.attention and b.attention.sliding_window]
    return min(sizes, default=None)
