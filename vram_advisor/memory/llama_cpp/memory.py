"""All buffers of one start of llama.cpp: model, caches and compute on each GPU and on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.adapters import AdapterTensor, adapter_tensors
from vram_advisor.memory.llama_cpp.allocator import Laid
from vram_advisor.memory.llama_cpp.caches import Caches, build_caches, key_width
from vram_advisor.memory.llama_cpp.compute import compute_buffers
from vram_advisor.memory.llama_cpp.habits import habits_of
from vram_advisor.memory.llama_cpp.model_buffer import Placed, place_weights, stored
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.session import Layout, Sizes, layout, sizes
from vram_advisor.units.errors import BadInput, NotModelled


@dataclass(frozen=True, slots=True)
class Buffers:
    """What lies in one place [B]."""

    place: int
    """HOST or the number of a GPU."""
    model: int
    """Weights, adapters included."""
    cache: int
    """Keys, values and states."""
    compute: int
    output: int = 0
    """Logits that are handed to the sampler, on the host."""

    @property
    def total(self) -> int:
        """What llama.cpp counts as its own (self) [B]."""
        return self.model + self.cache + self.compute + self.output


@dataclass(frozen=True, eq=False, repr=False)
class LlamaCppMemory:
    """One start of llama.cpp."""

    options: LlamaCppOptions
    sizes: Sizes
    layout: Layout
    flash: bool
    """Flash attention is on."""
    weights: tuple[Placed, ...]
    adapters: tuple[AdapterTensor, ...]
    caches: Caches
    compute: tuple[Laid, ...]
    """Of each GPU, then of the host."""
    output_bytes: int
    """Logits of all slots in host memory [B]."""

    @cached_property
    def model_bytes(self) -> dict[int, int]:
        """Weights and adapters by place [B]."""
        found: dict[int, int] = {}
        for weight in self.weights:
            found[weight.place] = found.get(weight.place, 0) + weight.nbytes
        for matrix in self.adapters:
            found[matrix.place] = found.get(matrix.place, 0) + matrix.nbytes
        return found

    def buffers(self, place: int) -> Buffers:
        """The buffers in one place."""
        model = self.model_bytes.get(place, 0)
        output = self.output_bytes if place == HOST else 0
        return Buffers(place, model, self.caches.nbytes(place), self.compute[place].nbytes, output)

    @cached_property
    def gpus(self) -> tuple[Buffers, ...]:
        """The buffers of each GPU."""
        return tuple(self.buffers(i) for i in range(self.options.num_gpus))

    @cached_property
    def host(self) -> Buffers:
        """The buffers in system memory."""
        return self.buffers(HOST)

    @cached_property
    def offloaded_bytes(self) -> int:
        """Weights of layers and output layer in system memory [B]: what is there because it does not fit a GPU."""
        inputs = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
        return sum(p.nbytes for p in self.weights if p.place == HOST and not p.name.startswith(inputs))


def uses_flash_attention(model: ModelSpec, options: LlamaCppOptions, places: Layout) -> bool:
    """What ``--flash-attn`` comes to.

    Raises:
        BadInput: types of cache that llama.cpp refuses: quantised values without flash attention, two types of latents.
    """
    latent = any(block.attention is not None and block.attention.kind == "mla" for block in model.blocks)
    if latent and options.cache_type_k != options.cache_type_v:
        raise BadInput(
            f"llama.cpp keeps the latents of {model.id} in one type: set --cache-type-k and --cache-type-v to the same."
        )
    flash = options.flash_attn == "on" or (options.flash_attn == "auto" and has_kernels(model, options, places))
    if not flash and options.cache_type_v not in ("f32", "f16", "bf16"):
        raise BadInput(
            f"--cache-type-v {options.cache_type_v} needs flash attention in llama.cpp: use --flash-attn on, or f16."
        )
    return flash


def has_kernels(model: ModelSpec, options: LlamaCppOptions, places: Layout) -> bool:
    """Whether every layer on a GPU has a flash attention kernel for its heads and cache types."""
    for layer, kind in enumerate(model.layer_kinds):
        a = model.blocks[kind].attention
        if a is None or places.layers[layer] == HOST:
            continue
        size, value = (key_width(a), a.kv_lora_rank or 0) if a.kind == "mla" else (a.head_dim, a.v_head_dim)
        types = options.cache_type_k.upper(), options.cache_type_v.upper()
        if not cuda.runs_flash_attention(size, value, types[0], types[0] if a.kind == "mla" else types[1]):
            return False
    return True


def llama_cpp_memory(
    model: ModelSpec,
    tensors: Sequence[StoredTensor],
    options: LlamaCppOptions,
    shares: tuple[float, ...] = (),
    planned: bool = False,
) -> LlamaCppMemory:
    """All buffers of a start.

    Args:
        tensors: the weights as the file holds them.
        shares: free memory of the GPUs in any unit; empty: equal.
        planned: as llama.cpp counts when it only plans (--fit), without the norms that it pins to their layer.

    Raises:
        BadInput: options that contradict each other.
        NotModelled: an architecture or a way to split that is not known here.
    """
    if options.split_mode == "row" and options.num_gpus > 1:
        raise NotModelled(
            "llama.cpp v0.5.0 has no --split-mode row on NVIDIA cards (older builds had): use --split-mode layer."
        )
    habits = habits_of(model.architecture)
    counted = sizes(options)
    places = layout(model, options, shares)
    flash = uses_flash_attention(model, options, places)
    weights = place_weights(tensors, options, places, not habits.shares_embedding)
    adapters = adapter_tensors(weights, options)
    caches = build_caches(model, options, counted, places, flash, habits.windows)
    laid = compute_buffers(model, habits, options, counted, places, caches, stored(weights), flash, not planned)
    return LlamaCppMemory(
        options=options,
        sizes=counted,
        layout=places,
        flash=flash,
        weights=tuple(weights),
        adapters=adapters,
        caches=caches,
        compute=tuple(laid),
        output_bytes=4 * model.vocab_size * counted.n_seqs,
    )
