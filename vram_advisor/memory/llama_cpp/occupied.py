"""What weights and caches occupy in each place, without the compute graph.

Weights that go the same way are summed once per file, and caches once per kind of layer. Adapters, a tower and a draft
model are not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp.caches import build_caches, cache_bytes
from vram_advisor.memory.llama_cpp.habits import habits_of
from vram_advisor.memory.llama_cpp.memory import uses_flash_attention
from vram_advisor.memory.llama_cpp.model_buffer import EMBEDDING, EXPERTS, PER_DEVICE_STEMS, Placed, place_weights
from vram_advisor.memory.llama_cpp.model_buffer import buffer_bytes as nbytes_in
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.session import Layout, Sizes, layout, sizes
from vram_advisor.memory.llama_cpp.start import file_tensors

STACKED = "_exps."
"""Part of the names of experts, of which a token reads a few."""
PASSED = ("blk.", "output")
"""Weights that a token passes as a whole."""


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that lie together wherever they lie."""

    home: int
    """Layer; the number of layers for the output layer; HOST."""
    everywhere: bool
    """Once in every place that has a layer."""
    copied: bool
    """The embedding as output layer, of which the host needs no second."""
    movable: bool
    """--cpu-moe and --n-cpu-moe move them."""
    stacked: bool
    """Experts, of which a token reads a few."""
    passed: bool
    """A token passes them as a whole, unless they are experts."""
    in_layers: bool


@dataclass(frozen=True, slots=True)
class Occupied:
    """Bytes by place."""

    weights: dict[int, int]
    """[B]."""
    caches: dict[int, int]
    """[B]."""
    host_layers: int
    """Weights of layers and output layer in system memory, without experts [B]."""
    host_experts: int
    """Experts in system memory [B]."""
    largest: int
    """Largest weight of a layer in system memory [B]."""
    output: int
    """The output layer, where that is in system memory [B]."""
    flash: bool
    """Flash attention is on."""

    def nbytes(self, place: int) -> int:
        """Weights and caches in one place [B]."""
        return self.weights.get(place, 0) + self.caches.get(place, 0)


def occupied(model: ModelSpec, file_type: str, options: LlamaCppOptions) -> Occupied:
    """Weights and caches of a start.

    Args:
        file_type: of a model without tensors of its own.

    Raises:
        BadInput, NotModelled: as ``llama_cpp_memory``, where it is not the graph that raises.
    """
    habits, places = habits_of(model.architecture), layout(model, options)
    flash = uses_flash_attention(model, options, places)
    second = not habits.shares_embedding
    weights: dict[int, int] = {}
    layers = experts = largest = output = 0
    if options.override_tensor:
        tensors = model.stored_tensors or file_tensors(model, file_type)
        found = one_by_one(place_weights(tensors, options, places, second))
    else:
        found = together(model, file_type, second, options, places)
    for group, place, nbytes, most in found:
        weights[place] = weights.get(place, 0) + nbytes
        if place != HOST:
            continue
        if group.stacked:
            experts += nbytes
        elif group.passed:
            layers += nbytes
        if group.in_layers:
            largest = max(largest, most)
        elif places.output == HOST or not second:
            # The embedding may be the output layer, too.
            output = max(output, most)
    caches = caches_by_place(model, options, sizes(options), places, flash, habits.windows)
    return Occupied(weights, caches, layers, experts, largest, output, flash)


Lying = tuple[Group, int, int, int]
"""A group, its place, what it occupies there, and the largest weight of it [B]."""


def together(
    model: ModelSpec, file_type: str, second: bool, options: LlamaCppOptions, places: Layout
) -> Iterable[Lying]:
    """Where groups lie."""
    every, count = set(places.layers), len(places.layers)
    for group, on_gpu, on_host, most in groups(model, file_type, second):
        home = group.home
        if group.everywhere:
            for place in every:
                yield group, place, on_host if place == HOST else on_gpu, most
            continue
        place = home if home == HOST else places.output if home == count else places.layers[home]
        if group.movable and (options.cpu_moe or home < options.n_cpu_moe):
            place = HOST
        if not (group.copied and place == HOST):
            yield group, place, on_host if place == HOST else on_gpu, most


@lru_cache(maxsize=32)
def groups(model: ModelSpec, file_type: str, second: bool) -> tuple[tuple[Group, int, int, int], ...]:
    """The groups of a file, what they occupy on a GPU and in system memory, and their largest weight [B].

    Args:
        second: a model without an output layer of its own gets a copy of the embedding as one.
    """
    tensors: tuple[StoredTensor, ...] = model.stored_tensors or file_tensors(model, file_type)
    count = model.num_hidden_layers
    # Every layer in a place of its own says what goes with which.
    apart = Layout(tuple(range(count)), count, False)
    found: dict[Group, list[int]] = {}
    for placed in place_weights(tensors, LlamaCppOptions(num_gpus=count + 1), apart, second):
        everywhere = placed.name.split(".", 1)[0] in PER_DEVICE_STEMS
        if everywhere and placed.place != 0:
            continue
        held = found.setdefault(group_of(placed, everywhere), [0, 0, 0])
        held[0] += nbytes_in(placed.tensor, 0)
        held[1] += nbytes_in(placed.tensor, HOST)
        held[2] = max(held[2], placed.tensor.nbytes)
    return tuple((group, on_gpu, on_host, most) for group, (on_gpu, on_host, most) in found.items())


def group_of(placed: Placed, everywhere: bool = False) -> Group:
    """The group of a weight."""
    return Group(
        home=placed.place,
        everywhere=everywhere,
        copied=placed.name != placed.tensor.name and placed.tensor.name == EMBEDDING,
        movable=placed.place != HOST and re.search(EXPERTS, placed.name) is not None,
        stacked=STACKED in placed.name,
        passed=placed.name.startswith(PASSED),
        in_layers=placed.name.startswith(PASSED[0]),
    )


def one_by_one(weights: Iterable[Placed]) -> Iterable[Lying]:
    """Where weights lie that patterns of names move."""
    for placed in weights:
        yield group_of(placed), placed.place, placed.nbytes, placed.tensor.nbytes


def caches_by_place(
    model: ModelSpec, options: LlamaCppOptions, counted: Sizes, places: Layout, flash: bool, windows: bool
) -> dict[int, int]:
    """Bytes of the caches by place [B]: those of one layer of each kind, as often as it lies there."""
    kinds = tuple(dict.fromkeys(model.layer_kinds))
    one_of_each = replace(model, layer_kinds=kinds)
    on_gpu, on_host = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for kept in build_caches(one_of_each, options, counted, Layout((0,) * len(kinds), 0, True), flash, windows).kept:
        on_gpu[kinds[kept.layer]] += cache_bytes(kept.type, kept.ne, False)
        on_host[kinds[kept.layer]] += cache_bytes(kept.type, kept.ne, True)
    found: dict[int, int] = {}
    for kind, at in zip(model.layer_kinds, places.layers, strict=True):
        place = at if options.kv_offload else HOST
        found[place] = found.get(place, 0) + (on_host if place == HOST else on_gpu)[kind]
    return found
