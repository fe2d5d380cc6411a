"""What every layer is written with: weights by name, norms, matrix products with adapters, the inputs of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import WITH_BIAS, ModelSpec, NormKind
from vram_advisor.memory.llama_cpp.adapter_pairs import AdapterPairs
from vram_advisor.memory.llama_cpp.caches import Caches
from vram_advisor.memory.llama_cpp.graph import Graph, four
from vram_advisor.memory.llama_cpp.habits import Habits
from vram_advisor.memory.llama_cpp.node import HOST, Node
from vram_advisor.memory.llama_cpp.session import Layout, Sizes

LAYER_NORMS = WITH_BIAS | {"layer_no_bias", "layer_fp32", "none_parametric"}
"""Norms that subtract the mean: they are not computed in place."""
ROPE_TABLES = ("rope_freqs.weight", "rope_factors_long.weight")
"""Factors of rotary frequencies; a file with long ones has short ones of the same size."""
FEW = 32
"""Below so many tokens norms are put where their layer lies, whatever else is on the host."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight of the file: its type and where it lies."""

    type: str
    place: int


class Builder:
    """The graph of one batch in the making."""

    def __init__(
        self,
        model: ModelSpec,
        habits: Habits,
        options: LlamaCppOptions,
        sizes: Sizes,
        layout: Layout,
        caches: Caches,
        stored: Mapping[str, Stored],
        flash: bool,
    ) -> None:
        self.graph = Graph()
        self.model = model
        self.habits = habits
        self.options = options
        self.sizes = sizes
        self.layout = layout
        self.caches = caches
        self.stored = stored
        self.flash = flash
        # llama.cpp walks a hash table of its adapters (std::unordered_map), where libstdc++ puts the newest first.
        self.adapters = [AdapterPairs(lora) for lora in reversed(options.loras)]
        self.tokens = sizes.n_tokens
        self.weights: dict[str, Node] = {}
        self.kept: dict[tuple[int, str], Node] = {}
        self.attention_inputs: dict[bool, AttentionInputs] = {}
        self.positions: Node | None = None
        self.state_rows: tuple[Node, Node] | None = None
        self.query_scale: Node | None = None

    def weight(self, name: str, *ne: int, layer: int | None = None, itemtype: str = "F32") -> Node:
        """A weight, by its name in the file; ``{}`` in it stands for the layer."""
        name = name if layer is None else f"blk.{layer}.{name}"
        found = self.weights.get(name)
        if found is None:
            held = self.stored.get(name)
            where = self.layout.output if layer is None else self.layout.layers[layer]
            found = Node(name.rsplit(".", 1)[0].split(".")[-1], held.type if held else itemtype, four(*ne))
            found.place = held.place if held else where
            found.weight = True
            self.weights[name] = found
        return found

    def matrix(self, name: str, inputs: int, outputs: int, layer: int | None = None) -> Node:
        """A matrix of a linear layer."""
        return self.weight(f"{name}.weight", inputs, outputs, layer=layer, itemtype="F16")

    def multiply(
        self, name: str, x: Node, outputs: int, layer: int | None = None, bias: bool = False, label: str = ""
    ) -> Node:
        """A linear layer, with its adapters."""
        g = self.graph
        label = label or name
        base = self.matrix(name, x.ne[0], outputs, layer)
        result = self.adapted(name, base, g.multiply(label, base, x), x, layer)
        return g.like("ADD", label, result, self.weight(f"{name}.bias", outputs, layer=layer)) if bias else result

    def adapted(self, name: str, base: Node, result: Node, x: Node, layer: int | None, ids: Node | None = None) -> Node:
        """A product with a weight, and what adapters add to it; ``ids``: the chosen experts of a stack."""
        g = self.graph
        full = f"{name}.weight" if layer is None else f"blk.{layer}.{name}.weight"
        for adapter in self.adapters:
            pair = adapter.of(full, base.ne[0], base.ne[1])
            if pair is None:
                continue
            y = x
            for held in (pair.a, pair.b):
                matrix = Node("adapter", held.dtype, four(*held.shape[::-1]))
                matrix.place = base.place
                y = g.multiply("adapter", matrix, y) if ids is None else g.multiply_chosen("adapter", matrix, y, ids)
            result = g.like("ADD", result.label, result, g.like("SCALE", "adapter", y))
        return result

    def norm(
        self,
        x: Node,
        name: str,
        layer: int | None,
        kind: NormKind | None = None,
        pinned: bool = True,
        bias: bool | None = None,
    ) -> Node:
        """A norm; ``name`` empty: it has no weights."""
        kind = kind or self.model.blocks[0].norm
        g = self.graph
        subtracts = kind in LAYER_NORMS
        result = g.like("NORM" if subtracts else "RMS_NORM", name or "norm", x)
        if not name or kind == "none_parametric":
            return result
        if pinned and layer is not None and (self.layout.full or self.tokens < FEW):
            place = self.layout.layers[layer]
            g.pins[result] = self.options.num_gpus if place == HOST else place
        result = g.like("MUL", name, result, self.weight(f"{name}.weight", x.ne[0], layer=layer))
        if bias if bias is not None else kind in WITH_BIAS:
            result = g.like("ADD", name, result, self.weight(f"{name}.bias", x.ne[0], layer=layer))
        return result

    def rope(self, x: Node, layer: int) -> Node:
        """Rotary position embedding, by a table of factors where the file has one."""
        assert self.positions is not None
        table = self.rope_table(layer)
        return self.graph.like("ROPE", x.label, x, self.positions, *([table] if table else []))

    def rope_table(self, layer: int) -> Node | None:
        """The factors of rotary frequencies of a layer, of which every place with a layer has its own."""
        name = next((name for name in ROPE_TABLES if name in self.stored), None)
        attention = self.model.blocks[self.model.layer_kinds[layer]].attention
        if name is None or attention is None or (self.habits.windows_unscaled and attention.sliding_window):
            return None
        place = self.layout.layers[layer]
        key = f"{name}@{place}"
        if key not in self.weights:
            table = Node("rope factors", "F32", four(attention.rotary_dim // 2))
            table.place, table.weight = place, True
            self.weights[key] = table
        return self.weights[key]

    def cache(self, layer: int, kind: str) -> Node:
        """A tensor of the cache of a layer."""
        key = (layer, kind)
        if key not in self.kept:
            kept = self.caches.of(layer, kind)
            assert kept is not None, key
            self.kept[key] = kept.node()
        return self.kept[key]

    def inputs_of(self, window: bool) -> AttentionInputs:
        """Masks and places of a batch in one of the caches."""
        return self.attention_inputs[window]


@dataclass(frozen=True, slots=True)
class AttentionInputs:
    """What the attention layers of one cache get with a batch."""

    key_places: Node
    value_places: Node
    mask: Node
    key_rotation: Node | None
    value_rotation: Node | None


def attention_inputs(b: Builder, window: bool) -> AttentionInputs:
    """Create them."""
    g, caches, streams = b.graph, b.caches, b.sizes.streams
    cells = caches.window_cells if window else caches.cells
    rows = b.tokens * caches.widest_value if caches.transposed else b.tokens
    half = b.flash and b.options.graph != "2025"
    mask = g.input("attention mask", "F16" if half else "F32", cells, b.tokens // streams, 1, streams)
    if b.flash and not half:
        mask = g.cast("attention mask", mask, "F16")
    keys, values = caches.key_rotation[window], caches.value_rotation[window]
    return AttentionInputs(
        g.input("places of keys", "I64", b.tokens),
        g.input("places of values", "I64", rows),
        mask,
        g.input("rotation of keys", "F32", keys, keys) if keys else None,
        g.input("rotation of values", "F32", values, values) if values else None,
    )
