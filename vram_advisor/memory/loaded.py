"""What stays on a GPU once a model is loaded, and the worst moment of loading it.

Sources: transformers ``modeling_utils.py`` (device_map, caching_allocator_warmup), ``quantizers/`` (weights are
quantised one by one as they arrive), ``models/qwen2/modeling_qwen2.py`` of 4.38 (tables of positions in every layer);
AutoGPTQ ``nn_modules/qlinear/qlinear_exllamav2.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.estimate import Phase
from vram_advisor.domain.tensors import Tensor, tensors
from vram_advisor.memory.resident import Resident, fixed
from vram_advisor.memory.rounding import unsplit_bytes
from vram_advisor.memory.session import Session
from vram_advisor.memory.weights import is_quantised, weight_bytes
from vram_advisor.units.grid import ceil_div

ALL: tuple[Phase, ...] = ("load", "prefill", "decode")
RUNNING: tuple[Phase, ...] = ("prefill", "decode")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What does not depend on the context, on one GPU."""

    items: tuple[Resident, ...]
    by_phase: tuple[int, ...]
    """Their bytes in load, prefill, decode [B]."""
    largest_layer: int
    """Bytes of the largest layer: what a split by layers cannot divide [B]."""


@lru_cache(maxsize=1024)
def load(session: Session, workspace: int) -> Loaded:
    """Weights and what belongs to them, on one of the GPUs that share them."""
    items = [item for item in (weights(session), rounding(session), *buffers(session)) if item]
    items.append(Resident("workspace", "cuBLAS workspace", (fixed("one thread", workspace, "workspace"),), RUNNING,
                          "torch ATen/cuda/CublasHandlePool.cpp"))  # fmt: skip
    moment = loading(session)
    if moment:
        items.append(moment)
    by_phase = tuple(sum(r.nbytes for r in items if phase in r.alive) for phase in ALL)
    model = session.model
    whole = weight_bytes(model, session.storage, session.itemsize, session.linear_experts)
    return Loaded(tuple(items), by_phase, (whole.layers + whole.experts) // model.num_hidden_layers)


def weights(session: Session) -> Resident:
    """The weights in the format of the base."""
    model, fmt, gpus = session.model, session.storage, session.plan.num_gpus
    found = weight_bytes(model, fmt, session.itemsize, session.linear_experts)
    head = head_tensor(session)
    tables = found.embeddings
    if head is not None and session.serving.quantises_head and fmt.is_quantised:
        out, inputs = head.shape
        tables += fmt.weight_bytes(out, inputs) - head.numel * session.itemsize
    by_tensor = session.serving.splits == "tensors"
    pieces = (
        (f"linear layers, {fmt.title}", found.layers, gpus),
        ("experts", found.experts, gpus),
        ("embeddings and output layer", tables, 1 if by_tensor else gpus),
        ("norms, biases and others", found.rest, 1 if by_tensor else gpus),
    )
    amounts = tuple(fixed(label, int(ceil_div(nbytes, parts)), "weights") for label, nbytes, parts in pieces if nbytes)
    return Resident(
        "weights",
        "weights of the model" if gpus == 1 else f"1 of {gpus} shares of the weights",
        amounts,
        ALL,
        fmt.source,
    )


def head_tensor(session: Session) -> Tensor | None:
    """The output layer; None where it is the embedding."""
    return next((t for t in tensors(session.model) if t.role == "head" and t.kind == "linear"), None)


def rounding(session: Session) -> Resident | None:
    """Blocks of the allocator around weights that were allocated one by one."""
    if session.serving.one_block:
        return None
    lost = unsplit_bytes(session.model, session.storage, session.itemsize, session.linear_experts)
    share = int(ceil_div(lost, session.plan.num_gpus))
    amounts = (fixed("blocks that are not split", share, "rounding"),)
    return (
        Resident(
            "rounding", "rounding of the weights", amounts, ALL, "torch c10/cuda/CUDACachingAllocator.cpp kSmallSize"
        )
        if share
        else None
    )


def buffers(session: Session) -> list[Resident]:
    """Tables and scratch space that a program keeps beside the weights."""
    model, gpus, found = session.model, session.plan.num_gpus, []
    rotary = max((b.attention.rotary_dim for b in model.blocks if b.attention), default=0)
    if session.serving.tables_per_layer and rotary:
        width = (model.max_position_embeddings or 0) * rotary
        layers = int(ceil_div(model.num_hidden_layers, gpus))
        table = Amount(
            "cosines and sines of all positions in every layer", "one", 2 * width, session.itemsize, "buffer", layers
        )
        found.append(Resident("buffers", "tables of positions", (table,), ALL, session.serving.source))
    if session.storage.name in session.serving.scratch:
        scratch = Amount("largest weight in 16 bit", "one", largest_linear(session), 2, "buffer")
        found.append(Resident("buffers", "scratch space of the kernel", (scratch,), RUNNING, session.serving.source))
    return found


def loading(session: Session) -> Resident | None:
    """What is there for a moment while weights arrive."""
    if session.storage.kernel in ("bnb_4bit", "bnb_8bit") or session.storage.name.startswith("hqq"):
        copies = session.serving.dequantised_copies
        whole = Amount(
            "largest weight before it is quantised", "one", largest_linear(session), session.itemsize, "weights", copies
        )
        return Resident(
            "loading", "a weight in its own dtype", (whole,), ("load",), "transformers quantizers/quantizer_bnb_4bit.py"
        )
    model = session.model
    if session.storage.name in session.serving.loads_head_twice and model.tie_word_embeddings:
        head = Amount(
            "output layer before it is tied", "one", model.vocab_size * model.hidden_size, session.itemsize, "weights"
        )
        return Resident("loading", "a second output layer", (head,), ("load",), session.serving.source)
    return None


@lru_cache(maxsize=512)
def largest_linear(session: Session) -> int:
    """Elements of the largest weight that is quantised."""
    head = head_tensor(session)
    sizes = [
        t.shape[-1] * t.shape[-2]
        for t in tensors(session.model)
        if is_quantised(t, session.storage, session.linear_experts)
        or (t is head and session.serving.quantises_head and session.storage.is_quantised)
    ]
    return max(sizes, default=0)
