"""What a model remembers of the tokens before: keys and values, latents, windows, states of fixed size.

Keys and values take ``2 x layers x key-value heads x head size x tokens x bytes``; every other form here says how it
differs. An amount is linear in the tokens of a sequence up to a limit (the window of a layer, one for a state), so one
formula answers a number or an array of contexts and batches.

Source: transformers 5.23 ``cache_utils.py`` and ``models/*/modeling_*.py``, traced; vLLM ``v1/kv_cache_interface.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Attention, Block, ModelSpec, StateSpace
from vram_advisor.units.grid import ceil_div, smallest

GROUP = 64
"""Elements that share scale and zero point in a quantised cache (transformers QuantizedCache q_group_size)."""
RESIDUAL = 128
"""Last tokens that a quantised cache keeps in 16 bit (residual_length)."""
BITS = {"int8": 8, "int4": 4, "fp8": 8}
"""Bits of one element of a quantised cache type."""


@dataclass(frozen=True, slots=True)
class CacheForm:
    """How a program stores the cache."""

    itemsize: int = 2
    """Bytes of an element that is not quantised [B]."""
    key: str | None = None
    """Quantised type of keys: int8, int4, fp8; None: not quantised."""
    value: str | None = None
    windows: bool = True
    """Layers with a sliding window keep their window only."""
    window_margin: int = 0
    """Tokens that such a layer keeps beside its window."""
    residual: int = RESIDUAL
    """Last tokens of each sequence that a quantised integer cache keeps at full precision."""
    parts: int = 1
    """Tensor parallelism: into how many shares heads are cut."""
    every_head: bool = False
    """Grouped keys and values are repeated for every query head before they are stored (Falcon in transformers)."""


@dataclass(frozen=True, slots=True)
class Cached:
    """Amounts of some layers, linear in the tokens of each sequence up to ``limit``."""

    kind: str
    """kv_cache or state."""
    label: str
    amounts: tuple[Amount, ...]
    limit: int | None
    reference: str

    def values(self, sequences: Any, tokens: Any) -> tuple[Any, ...]:
        """The values of ``amount.SYMBOLS`` for these amounts; numbers or arrays."""
        return symbols(sequences, tokens if self.limit is None else smallest(tokens, self.limit))

    def nbytes(self, sequences: Any, tokens: Any) -> Any:
        """Bytes for so many sequences of so many tokens [B]."""
        values = self.values(sequences, tokens)
        return sum(a.nbytes(values) for a in self.amounts)


def symbols(sequences: Any, tokens: Any) -> tuple[Any, ...]:
    """The values of ``amount.SYMBOLS`` for sequences of equal length, numbers or arrays; there is no loss."""
    rows = sequences * tokens
    padded, chunked = (sequences * (ceil_div(tokens, n) * n) for n in (128, 64))
    return (1, tokens, rows, padded, rows * tokens, tokens * tokens, 0, 0, chunked)


@lru_cache(maxsize=512)
def cached(model: ModelSpec, form: CacheForm, layers: int | None = None) -> tuple[Cached, ...]:
    """The cache of the first ``layers`` layers of a model (None: all), equal layers together."""
    kinds = model.layer_kinds[:layers]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    merged: dict[tuple[str, str, int | None, str], list[Amount]] = {}
    for kind, count in counts.items():
        for part in layer_cache(model.blocks[kind], form):
            amounts = merged.setdefault((part.kind, part.label, part.limit, part.reference), [])
            amounts += [a.repeated(count) for a in part.amounts]
    return tuple(
        Cached(kind, label, summed(amounts), limit, reference)
        for (kind, label, limit, reference), amounts in merged.items()
    )


def cache_bytes(model: ModelSpec, form: CacheForm, sequences: Any, tokens: Any, layers: int | None = None) -> Any:
    """Bytes of the whole cache for so many sequences of so many tokens, numbers or arrays [B]."""
    return sum(part.nbytes(sequences, tokens) for part in cached(model, form, layers))


def summed(amounts: list[Amount]) -> tuple[Amount, ...]:
    """Amounts that differ in their copies only, as one."""
    found: dict[tuple[str, str, int, int, str], int] = {}
    for a in amounts:
        key = (a.label, a.rows, a.width, a.itemsize, a.kind)
        found[key] = found.get(key, 0) + a.copies
    return tuple(Amount(*key, copies) for key, copies in found.items())


def layer_cache(block: Block, form: CacheForm) -> Iterator[Cached]:
    """What one layer keeps."""
    if block.attention is not None and not block.attention.kv_shared:
        yield from attention_cache(block.attention, form)
    if block.state is not None:
        yield state_cache(block.state, form)


def widths(a: Attention, form: CacheForm) -> tuple[tuple[str, int], ...]:
    """Elements that one layer keeps of a token, by name.

    Latent attention keeps the compressed latent and the one rotated key (DeepSeek-V2, arXiv 2405.04434, 2.1.2);
    sparse attention the key of its indexer too. Values that equal keys are stored all the same.
    """
    if a.kind == "mla":
        found = [("latents", a.kv_lora_rank or 0), ("rotated keys", a.qk_rope_head_dim or 0)]
        return (*found, ("keys of the indexer", a.index_head_dim)) if a.index_head_dim else tuple(found)
    key, value = key_value_widths(a, form)
    return (("keys and values", 2 * key),) if key == value else (("keys", key), ("values", value))


def key_value_widths(a: Attention, form: CacheForm) -> tuple[int, int]:
    """Elements of keys and of values of one token in one layer, on one GPU."""
    grouped = 1 < a.num_key_value_heads < a.num_attention_heads
    heads = a.num_attention_heads if form.every_head and grouped else a.num_key_value_heads
    # Fewer heads than GPUs: each keeps a whole head.
    heads = int(ceil_div(heads, form.parts))
    return heads * a.head_dim, heads * a.v_head_dim


def attention_cache(a: Attention, form: CacheForm) -> Iterator[Cached]:
    """Keys and values, latents, or what a window leaves of them."""
    limit = None
    label = "latent attention" if a.kind == "mla" else "keys and values"
    if a.sliding_window is not None and form.windows:
        limit = a.sliding_window + form.window_margin
        label = f"keys and values in a window of {a.sliding_window:,}"
    reference = "transformers cache_utils.py"
    if form.key is None and form.value is None:
        amounts = tuple(Amount(n, "T", w, form.itemsize, "kv_cache") for n, w in widths(a, form) if w)
        yield Cached("kv_cache", label, amounts, limit, reference)
        return
    key, value = key_value_widths(a, form)
    amounts = (*quantised("keys", key, form.key, form), *quantised("values", value, form.value, form))
    yield Cached("kv_cache", f"{label}, quantised", amounts, limit, f"{reference} QuantizedCache")
    kept = sum(w for w, name in ((key, form.key), (value, form.value)) if name in ("int8", "int4"))
    if kept and form.residual:
        last = (Amount("last tokens, not quantised", "T", kept, form.itemsize, "kv_cache"),)
        yield Cached("kv_cache", "last tokens at full precision", last, form.residual, f"{reference} residual_length")


def quantised(label: str, width: int, name: str | None, form: CacheForm) -> Iterator[Amount]:
    """Elements of one type, and the scales of their groups."""
    if name is None:
        yield Amount(label, "T", width, form.itemsize, "kv_cache")
        return
    yield Amount(f"{label} in {BITS[name]} bit", "T", ceil_div(width * BITS[name], 8), 1, "kv_cache")
    if name != "fp8":
        yield Amount(f"scales and zero points of {label}", "T", ceil_div(width, GROUP), 2 * form.itemsize, "kv_cache")


def state_cache(s: StateSpace, form: CacheForm) -> Cached:
    """A state of fixed size per sequence: the inputs of the convolution, and the recurrent state in fp32."""
    conv = Amount("inputs of the convolution", "T", s.conv_channels * s.conv_kernel, form.itemsize, "state")
    reference = "transformers cache_utils.py LinearAttentionLayer"
    if s.kind == "short_conv":
        return Cached("state", "state of short convolutions", (conv,), 1, reference)
    state = Amount("recurrent state of a sequence", "T", s.inner_size * s.state_size, 4, "state")
    return Cached("state", f"state of {s.kind} layers", (conv, state), 1, reference)
