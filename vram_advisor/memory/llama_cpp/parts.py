"""The buffers of one place as components: what a person sees, each with its formula."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from vram_advisor.domain.amount import SYMBOLS, Amount
from vram_advisor.domain.estimate import Component, Phase
from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.memory.llama_cpp.allocator import Held, Laid
from vram_advisor.memory.llama_cpp.caches import Kept
from vram_advisor.memory.llama_cpp.memory import LlamaCppMemory
from vram_advisor.memory.llama_cpp.model_buffer import sizes_by_type

ALL: tuple[Phase, ...] = ("load", "prefill", "decode")
OTHER_BUILDS = 0.02
"""Relative standard deviation of a compute buffer: another build may write its graph differently (seen: 2 MiB of 83)."""
SMALL = 1 << 20
"""Tensors of a compute buffer below this are listed together [B]."""
FROM_GRAPH = "llama.cpp v0.5.0 src/models, ggml/src/ggml-alloc.c: the graph recorded and laid out"


def values(tokens: int, cells: int) -> tuple[int, ...]:
    """The values of ``amount.SYMBOLS``: tokens of a batch, cells of the cache as positions."""
    known = {"one": 1, "s": cells, "T": tokens}
    return tuple(known.get(symbol, 0) for symbol in SYMBOLS)


def weights_component(memory: LlamaCppMemory, place: int) -> Component:
    """Weights in one place, by type."""
    amounts: list[Amount] = []
    padding = 0
    for name, (blocks, more) in sorted(sizes_by_type(memory.weights, place).items()):
        row = GGML_TYPES[name]
        what = f"blocks of {row.block_size} weights in {name}" if row.block_size > 1 else f"weights in {name}"
        amounts.append(Amount(what, "one", blocks, row.block_bytes, "weights"))
        padding += more
    if padding:
        amounts.append(Amount("alignment and room behind rows", "one", padding, 1, "weights"))
    return component("weights", "weights of the model", amounts, values(0, 0), "llama.cpp src/llama-model-loader.cpp")


def adapter_components(memory: LlamaCppMemory, place: int) -> list[Component]:
    """LoRA adapters in one place, by type."""
    totals: dict[str, int] = {}
    for a in memory.adapters:
        if a.place == place:
            totals[a.tensor.dtype] = totals.get(a.tensor.dtype, 0) + a.nbytes
    amounts = [Amount(f"matrices in {name}", "one", total, 1, "weights") for name, total in sorted(totals.items())]
    if not amounts:
        return []
    return [component("adapters", "LoRA adapters", amounts, values(0, 0), "llama.cpp src/llama-adapter.cpp")]


def cache_components(memory: LlamaCppMemory, place: int) -> list[Component]:
    """Caches in one place: of layers without a window, with one, and states."""
    kept = [k for k in memory.caches.kept if k.place == place]
    groups = (
        ("kv_cache", "keys and values", [k for k in kept if is_attention(k) and not k.window], memory.caches.cells),
        ("kv_cache", "keys and values in a window", [k for k in kept if k.window], memory.caches.window_cells),
        ("state", "states of fixed size", [k for k in kept if not is_attention(k)], memory.sizes.n_seqs),
    )
    found = []
    for kind, label, members, cells in groups:
        if members:
            amounts = cache_amounts(members, kind, cells, memory.sizes.streams if kind == "kv_cache" else 1)
            found.append(component(kind, label, amounts, values(0, cells), "llama.cpp src/llama-kv-cache.cpp"))
    return found


def is_attention(k: Kept) -> bool:
    """Whether a tensor grows with the context."""
    return k.kind in ("keys", "values")


def cache_amounts(members: list[Kept], kind: str, cells: int, streams: int) -> list[Amount]:
    """Tensors of equal width together, and what alignment adds."""
    groups: dict[tuple[str, str, int], int] = {}
    for k in members:
        groups[k.kind, k.type, k.ne[0]] = groups.get((k.kind, k.type, k.ne[0]), 0) + 1
    amounts = []
    for (what, type_name, width), count in groups.items():
        row = GGML_TYPES[type_name]
        label = (
            f"{what} in {type_name}" if row.block_size == 1 else f"{what} in blocks of {row.block_size}, {type_name}"
        )
        amounts.append(Amount(label, "s", width // row.block_size, row.block_bytes, kind, count * streams))
    rest = sum(k.nbytes for k in members) - sum(a.nbytes(values(0, cells)) for a in amounts)
    return [*amounts, Amount("alignment", "one", rest, 1, kind)] if rest else amounts


def compute_component(memory: LlamaCppMemory, place: int) -> Component:
    """The tensors that are alive when the compute buffer is fullest."""
    laid = memory.compute[place]
    tokens = memory.sizes.n_tokens
    amounts = compute_amounts(laid, tokens)
    return component(
        "compute", "compute buffer at its fullest", amounts, values(tokens, 0), FROM_GRAPH, OTHER_BUILDS * laid.nbytes
    )


def compute_amounts(laid: Laid, tokens: int) -> list[Amount]:
    """Large tensors by themselves, the rest and the gaps together."""
    amounts: list[Amount] = []
    named = 0
    for held in laid.held:
        if held.nbytes >= SMALL:
            amount = tensor_amount(held, tokens)
            amounts.append(amount)
            named += int(amount.nbytes(values(tokens, 0)))
    small = sum(h.nbytes for h in laid.held if h.nbytes < SMALL)
    if small:
        amounts.append(Amount("smaller tensors", "one", small, 1, "compute"))
    rest = laid.nbytes - named - small
    if rest:
        amounts.append(Amount("gaps between tensors and alignment", "one", rest, 1, "compute"))
    return amounts


def tensor_amount(held: Held, tokens: int) -> Amount:
    """One tensor as tokens times width where its shape is that, else as so many bytes."""
    row = GGML_TYPES[held.type]
    elements = prod(held.ne)
    if row.block_size == 1 and elements % tokens == 0 and elements * row.block_bytes <= held.nbytes:
        return Amount(held.label, "T", elements // tokens, row.block_bytes, "compute")
    return Amount(held.label, "one", held.nbytes, 1, "compute")


def component(
    kind: str, label: str, amounts: Iterable[Amount], at: tuple[int, ...], reference: str, sd: float = 0.0
) -> Component:
    """A component that is there from the start."""
    found = tuple(amounts)
    return Component(kind, label, sum(int(a.nbytes(at)) for a in found), found, at, ALL, reference, sd)
