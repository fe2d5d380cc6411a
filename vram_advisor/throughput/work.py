"""What one token costs a model: weights that it passes, pairs of tokens in attention, elements between the products.

Source of the products: 2 operations per weight and token in the forward pass, as many for the gradient of the input and
for that of a trained weight (Kaplan et al. 2020, arXiv 2001.08361, 2.1; Korthikanti et al. 2022, arXiv 2205.05198).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.model import Attention, Block, ModelSpec
from vram_advisor.domain.tensors import Tensor, tensors
from vram_advisor.units.grid import Number, smallest, where

LINEAR = frozenset({"linear", "expert_stack"})
ADAPTED_ROLES = frozenset({"attention", "mlp", "expert", "shared_expert", "state"})
"""Roles that ``all-linear`` reaches (peft ``tuners_utils.py``)."""


@dataclass(frozen=True, slots=True)
class AttentionWork:
    """Equal attention layers."""

    layers: int
    width: int
    """Query heads x (head size of the keys + head size of the values)."""
    heads: int
    cached: int
    """Keys, values or latents that one token leaves behind in one layer [elements]."""
    window: int | None


@dataclass(frozen=True, slots=True)
class Work:
    """Counts of one forward pass of the text model, per token."""

    layers: int
    stored: int
    """Weights of linear layers inside the layers [elements]."""
    experts: int
    """Of these, the experts of which a token passes some [elements]."""
    linear: int
    """Weights of linear layers that one token passes [elements]."""
    head: int
    """Weights of the output layer [elements]."""
    other: int
    """Weights of neither kind that every token reads: norms, biases, convolutions [elements]."""
    hidden: int
    """Layers x hidden size [elements]."""
    inner: int
    """Widths of all feed-forward layers that a token passes [elements]."""
    rotated: int
    """Widths of all queries and keys [elements]."""
    normed: int
    """Widths of all queries and keys that are normed before they are rotated [elements]."""
    attention: tuple[AttentionWork, ...]
    states: int
    """Elements of recurrent states of one sequence."""
    causal: bool


@lru_cache(maxsize=512)
def work(model: ModelSpec) -> Work:
    """The counts of a model."""
    linear = stored = experts = other = 0
    for tensor in tensors(model):
        if tensor.role == "tower" or tensor.block is None:
            continue
        if tensor.kind not in LINEAR:
            other += tensor.numel
            continue
        stored += tensor.numel
        experts += tensor.numel if tensor.role == "expert" else 0
        linear += active(model, tensor)
    counts = [(block, model.layer_kinds.count(index)) for index, block in enumerate(model.blocks)]
    attended = [(block.attention, n) for block, n in counts if block.attention is not None and n]
    return Work(
        layers=model.num_hidden_layers,
        stored=stored,
        experts=experts,
        linear=linear,
        head=model.vocab_size * (model.embedding_size or model.hidden_size),
        other=other,
        hidden=model.num_hidden_layers * model.hidden_size,
        inner=sum(inner(block) * n for block, n in counts),
        rotated=sum((a.query_size + a.key_size) * n for a, n in attended),
        normed=sum((a.query_size + a.key_size) * n for a, n in attended if a.qk_norm != "none"),
        attention=tuple(
            AttentionWork(n, a.query_size + a.output_size, a.num_attention_heads, left_behind(a), a.sliding_window)
            for a, n in attended
        ),
        states=sum(n * block.state.inner_size * block.state.state_size for block, n in counts if block.state),
        causal=model.causal,
    )


def left_behind(a: Attention) -> int:
    """Keys, values or latents of one token in one layer [elements]; a layer that reads another's cache reads as much."""
    if a.kind == "mla":
        return (a.kv_lora_rank or 0) + (a.qk_rope_head_dim or 0)
    return a.key_size + a.value_size


def active(model: ModelSpec, tensor: Tensor) -> int:
    """Weights of a tensor that one token passes [elements]."""
    experts = model.blocks[tensor.block].experts if tensor.block is not None else None
    if experts and tensor.role == "expert":
        return tensor.numel * experts.num_experts_per_tok // experts.num_experts
    return tensor.numel


def inner(block: Block) -> int:
    """Width of the feed-forward layers of one layer that a token passes [elements]."""
    total = block.mlp.intermediate_size if block.mlp else 0
    if block.experts:
        routed = block.experts.moe_intermediate_size * block.experts.num_experts_per_tok
        total += routed + block.experts.shared_expert_intermediate_size
    if block.state:
        total += block.state.conv_channels
    return total


def attended(window: int | None, length: Number, causal: bool) -> Number:
    """Tokens that a token of a sequence looks at, on average [tokens].

    Half the sequence; with a window w shorter than the sequence s, ``w - w^2 / 2s``.
    """
    if not causal:
        return length
    if window is None:
        return length / 2
    return where(length <= window, length / 2, window - window * window / (2 * length))


def attention_flops(counts: Work, length: Number) -> Number:
    """Operations of scores and weighted values in one forward pass, per token of sequences of a length [FLOP]."""
    return sum(2 * part.layers * part.width * attended(part.window, length, counts.causal) for part in counts.attention)


def head_pairs(counts: Work, length: Number) -> Number:
    """Scores that attention written out forms, per token: it masks nothing away [elements]."""
    return sum(part.layers * part.heads * length for part in counts.attention)


def cached_elements(counts: Work, context: Number) -> Number:
    """What a new token reads of one sequence: windows end the past [elements]."""
    return sum(
        part.layers * part.cached * (context if part.window is None else smallest(context, part.window))
        for part in counts.attention
    )


def touched(model: ModelSpec, tokens: Number) -> Number:
    """Share of the experts that some of the tokens pass, where they choose independently: ``1 - (1 - e/E)^tokens``."""
    shares = [(b.experts.num_experts_per_tok / b.experts.num_experts, b.experts) for b in model.blocks if b.experts]
    if not shares:
        return 1.0
    return 1 - (1 - max(share for share, _ in shares)) ** tokens


def most_experts(model: ModelSpec) -> int:
    """Experts of a layer; 0 where there are none."""
    return max((block.experts.num_experts for block in model.blocks if block.experts), default=0)


@dataclass(frozen=True, slots=True)
class Adapted:
    """Modules that carry an adapter, or that are trained in full beside it."""

    modules: int
    width: int
    """Sum of their inputs and outputs: a rank r adds r x width parameters."""
    saved: int
    """Weights of the modules that are trained in full [elements]."""


@lru_cache(maxsize=512)
def adapted(model: ModelSpec, targets: tuple[str, ...], saved: tuple[str, ...]) -> Adapted:
    """The modules that names reach; names that the model does not have reach nothing."""
    modules = width = 0
    everything = "all-linear" in targets
    for tensor in tensors(model):
        if tensor.kind not in LINEAR or tensor.block is None:
            continue
        if tensor.module in targets or (everything and tensor.role in ADAPTED_ROLES):
            *stack, out_features, in_features = tensor.shape
            n = tensor.count * (stack[0] if stack else 1)
            modules += n
            width += n * (out_features + in_features)
    return Adapted(modules, width, sum(t.numel for t in tensors(model) if t.module in saved))


@lru_cache(maxsize=512)
def all_parameters(model: ModelSpec) -> int:
    """Parameters of the text model [elements]."""
    return sum(tensor.numel for tensor in tensors(model) if tensor.role != "tower")
