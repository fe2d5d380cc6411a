"""Layers of which some lie on the host: runs of equal layers with fewer periods have the same compute buffers.

Layers are equal that are of one kind, lie in one place and have weights of the same types in the same places. Inside such
a run the allocator is at the end of a period where it was at the end of an earlier one, up to the third before
(``shorten``). That holds for layers of the host too: the card computes for them with copies of their weights, and its
buffer is the one that returns late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.llama_cpp.builder import Stored
from vram_advisor.memory.llama_cpp.caches import Caches
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.session import Layout

LONGEST = 8
"""Layers of the longest period that is looked for."""
LEAST = 4
"""Periods of a run that are kept at least."""
CYCLE = 6
"""Periods of a run are left out by so many: the allocator returns to its state after one, two or three."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Played:
    """What the graph of fewer layers is recorded from."""

    model: ModelSpec
    layout: Layout
    caches: Caches
    stored: Mapping[str, Stored]


def with_short_runs(model: ModelSpec, layout: Layout, caches: Caches, stored: Mapping[str, Stored]) -> Played:
    """The model with runs of equal layers shortened."""
    weights: list[list[tuple[str, Stored]]] = [[] for _ in model.layer_kinds]
    named: dict[str, Stored] = {}
    for name, weight in stored.items():
        if not name.startswith("blk."):
            named[name] = weight
            continue
        _, layer, rest = name.split(".", 2)
        if int(layer) < len(weights):
            weights[int(layer)].append((rest, weight))
    layers = kept_layers(likenesses(model, layout, weights))
    number = {before: after for after, before in enumerate(layers)}
    named |= {f"blk.{after}.{rest}": weight for before, after in number.items() for rest, weight in weights[before]}
    return Played(
        replace(model, layer_kinds=tuple(model.layer_kinds[i] for i in layers)),
        replace(layout, layers=tuple(layout.layers[i] for i in layers)),
        replace(caches, kept=tuple(replace(k, layer=number[k.layer]) for k in caches.kept if k.layer in number)),
        named,
    )


def likenesses(
    model: ModelSpec, layout: Layout, weights: Sequence[Sequence[tuple[str, Stored]]]
) -> list[tuple[object, ...]]:
    """What layers have to share to be equal; types count where weights of the host may be copied to a GPU.

    Args:
        weights: of each layer, by what their names end with.
    """
    return [
        (kind, place, tuple(sorted((rest, w.type, w.place) for rest, w in held)) if on_host(held) else ())
        for kind, place, held in zip(model.layer_kinds, layout.layers, weights, strict=True)
    ]


def on_host(weights: Sequence[tuple[str, Stored]]) -> bool:
    """Whether a weight lies in system memory."""
    return any(weight.place == HOST for _, weight in weights)


def kept_layers(likes: Sequence[object]) -> Sequence[int]:
    """Layers that are left when from each run so many cycles of periods are taken that ``LEAST`` periods stay.

    Args:
        likes: equal for equal layers.
    """
    kept: list[int] = []
    start = 0
    while start < len(likes):
        spared, stop = 0, start + 1
        for period in range(1, LONGEST + 1):
            end = start
            while end + period < len(likes) and likes[end] == likes[end + period]:
                end += 1
            length = end + period - start
            less = (length // period - LEAST) // CYCLE * CYCLE * period
            if less > spared:
                spared, stop = less, start + length
        kept += range(start, stop - spared)
        start = stop
    return kept
