"""What llama.cpp remembers of the tokens before: keys and values per layer, states of fixed size.

Source: llama.cpp v0.5.0 ``src/llama-kv-cache.cpp``, ``src/llama-memory-recurrent.cpp``, ``src/llama-hparams.cpp``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import Attention, ModelSpec, StateSpace
from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.node import HOST, Four, Node
from vram_advisor.memory.llama_cpp.session import Layout, Sizes

ROTATION = 64
"""Keys and values that are quantised are rotated in blocks of this size first; heads that are no multiple are not."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One tensor of a cache."""

    layer: int
    kind: str
    """keys, values, latents, convolution, state."""
    window: bool
    type: str
    ne: Four
    place: int

    def node(self) -> Node:
        """The tensor in a graph."""
        node = Node(f"{self.kind} cache", self.type, self.ne)
        node.place = self.place
        return node

    @property
    def nbytes(self) -> int:
        """Bytes in its buffer [B]."""
        return cache_bytes(self.type, self.ne, self.place == HOST)


def cache_bytes(type_name: str, ne: Four, on_host: bool) -> int:
    """Bytes of a tensor of a cache in its buffer [B]."""
    a, b, c, d = ne
    nbytes = GGML_TYPES[type_name].row_bytes(a) * b * c * d
    if on_host:
        return cuda.padded(nbytes, cuda.HOST_ALIGNMENT)
    return cuda.padded(nbytes + cuda.row_tail(type_name, a), cuda.ALIGNMENT)


@dataclass(frozen=True, slots=True)
class Caches:
    """All caches of a run."""

    kept: tuple[Kept, ...]
    cells: int
    """Cells of one stream of the layers without a window."""
    window_cells: int
    """The same of layers with one; 0: no layer has one."""
    transposed: bool
    """Values are stored with cells innermost: without flash attention."""
    widest_value: int
    """Elements of the values of one token in the widest layer."""
    key_rotation: tuple[int, int]
    """Sizes of the rotation of keys in layers without and with a window; 0: none."""
    value_rotation: tuple[int, int]

    def of(self, layer: int, kind: str) -> Kept | None:
        """A tensor of one layer."""
        return next((k for k in self.kept if k.layer == layer and k.kind == kind), None)

    def nbytes(self, place: int) -> int:
        """Bytes of the caches in one place [B]."""
        alike = Counter((k.type, k.ne) for k in self.kept if k.place == place)
        return sum(count * cache_bytes(name, ne, place == HOST) for (name, ne), count in alike.items())


def keeps_window(a: Attention, windows: bool) -> bool:
    """Whether a layer has a cache of its own for its sliding window."""
    return windows and a.sliding_window is not None


def key_width(a: Attention) -> int:
    """Elements of the keys of one token."""
    return (a.kv_lora_rank or 0) + (a.qk_rope_head_dim or 0) if a.kind == "mla" else a.key_size


def build_caches(
    model: ModelSpec, options: LlamaCppOptions, sizes: Sizes, layout: Layout, flash: bool, windows: bool
) -> Caches:
    """The caches of a model.

    Args:
        flash: flash attention is on.
        windows: llama.cpp keeps only the window of layers that have one in this architecture.
    """
    layers = [(i, model.blocks[kind]) for i, kind in enumerate(model.layer_kinds)]
    attentions = [(i, b.attention) for i, b in layers if b.attention is not None and not b.attention.kv_shared]
    type_k, type_v = options.cache_type_k.upper(), options.cache_type_v.upper()
    window = next((a.sliding_window or 0 for _, a in attentions if keeps_window(a, windows)), 0)
    window_cells = sizes.window_cells(window, options.swa_full) if window else 0
    widest = max((a.value_size for _, a in attentions if a.kind != "mla"), default=0)
    kept: list[Kept] = []
    for i, a in attentions:
        place = layout.layers[i] if options.kv_offload else HOST
        short = keeps_window(a, windows)
        cells = window_cells if short else sizes.cells
        kept.append(Kept(i, "keys", short, type_k, (key_width(a), cells, sizes.streams, 1), place))
        if a.kind != "mla":
            width = a.value_size if flash else widest
            kept.append(Kept(i, "values", short, type_v, (width, cells, sizes.streams, 1), place))
    for i, block in layers:
        if block.state is not None:
            place = layout.layers[i] if options.kv_offload else HOST
            for kind, width in state_widths(block.state):
                kept.append(Kept(i, kind, False, "F32", (width, sizes.n_seqs, 1, 1), place))
    first = next((a for _, a in attentions), None)
    rotations = [
        rotation([a for _, a in attentions if keeps_window(a, windows) == short], first, type_k, type_v)
        for short in (False, True)
    ]
    return Caches(
        tuple(kept),
        sizes.cells,
        window_cells,
        not flash,
        widest,
        (rotations[0][0], rotations[1][0]),
        (rotations[0][1], rotations[1][1]),
    )


def state_widths(s: StateSpace) -> tuple[tuple[str, int], ...]:
    """Elements of the states of one slot in one layer; no slot keeps more than the last state."""
    if s.kind == "short_conv":
        return (("convolution", s.inner_size * (s.conv_kernel - 1)),)
    if s.kind == "kda":
        return (
            ("convolution", 3 * (s.conv_kernel - 1) * s.num_heads * s.head_dim),
            ("state", s.head_dim * s.head_dim * s.num_heads),
        )
    return (("convolution", (s.conv_kernel - 1) * s.conv_channels), ("state", s.state_size * s.inner_size))


def rotation(layers: list[Attention], first: Attention | None, type_k: str, type_v: str) -> tuple[int, int]:
    """Sizes of the rotations of keys and values; 0: none."""
    if not layers or first is None:
        return 0, 0
    mla = layers[0].kind == "mla"
    sizes = {key_width(a) if mla else a.head_dim for a in layers}
    keys = values = 0
    if (
        len(sizes) == 1
        and GGML_TYPES[type_k].quantized
        and (key_width(first) if mla else first.head_dim) % ROTATION == 0
    ):
        head, keys = sizes.pop(), ROTATION
        while head % (2 * keys) == 0:
            keys *= 2
    if not mla and len({a.v_head_dim for a in layers}) == 1 and GGML_TYPES[type_v].quantized:
        values = ROTATION if first.v_head_dim % ROTATION == 0 else 0
    return keys, values
