"""What FSDP2 has whole at each moment of a step, and the buffers that its collectives hold.

A unit is gathered into one flat buffer, from which its weights are copied out. In the forward pass the buffer is held
until the next unit has been gathered; in the backward pass it is dropped behind the copy, and that of the unit in front
is gathered ahead. Gradients stay whole until their unit is done; they are then copied into the input of a
reduce-scatter, which is held until the next unit is done.

Source: torch 2.13 ``distributed/fsdp/_fully_shard``: _fsdp_param_group.py (wait_for_unshard, pre_backward,
post_backward, _backward_prefetch), _fsdp_collectives.py (foreach_all_gather, foreach_reduce), _fsdp_state.py
(_post_forward, _root_post_backward_final_callback). Units: accelerate 1.15 ``utils/fsdp_utils.py`` fsdp2_prepare_model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.tensors import tensors
from vram_advisor.memory.weights import tensor_bytes
from vram_advisor.units.grid import ceil_div


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a model, in the dtype that they are gathered in [B]."""

    parts: int
    """Processes that share the model."""
    layers: tuple[int, ...]
    embedding: int = 0
    """The token embedding; 0 where it is the output layer too."""
    last: int = 0
    """Final norm and output layer: whole from the end of the forward pass to the beginning of the backward pass."""
    whole: int = 0
    """What stays whole for both passes: tied embeddings and what is in no other unit."""
    reshards: bool = True
    """Layers and embedding are in parts again behind the forward pass."""
    trains_base: bool = False
    reduced: int = 1
    """Bytes of a gradient in the reduce-scatter, as a multiple of its own."""
    stored: int = 1
    """Bytes of a part's gradient as it is kept, as a multiple of its own."""

    def part(self, nbytes: int) -> int:
        """One process's part [B]."""
        return int(ceil_div(nbytes, self.parts))

    def output(self, gradients: int) -> int:
        """What the reduction of gradients leaves here, and the same in the dtype that it is kept in [B]."""
        return self.part(gradients) * (self.reduced + (self.stored if self.stored != self.reduced else 0))


def units(
    model: ModelSpec,
    fmt: Quantization,
    parts: int,
    *,
    itemsize: int,
    adapters: int = 0,
    linear_experts: bool = False,
    reshards: bool = True,
    trains_base: bool = False,
    reduced: int = 1,
    stored: int = 1,
) -> Units:
    """The units of a model.

    Args:
        model: the model.
        fmt: how linear layers are stored.
        parts: processes.
        itemsize: of weights that are not quantised, as they are gathered [B].
        adapters: bytes of all adapters as they are gathered, which lie evenly in the layers [B].
        linear_experts: experts are linear layers of their own.
        reshards, trains_base, reduced, stored: as in ``Units``.
    """
    kinds: dict[int, int] = {}
    tables = {"embedding": 0, "head": 0, "rest": 0}
    for tensor in tensors(model):
        nbytes = tensor_bytes(tensor, fmt, itemsize, linear_experts)
        if tensor.block is not None:
            kinds[tensor.block] = kinds.get(tensor.block, 0) + nbytes // tensor.count
        elif tensor.role != "tower":
            # Layers of a tower are units of their own, and text runs none of them.
            tables[tensor.role if tensor.role in tables else "rest"] += nbytes
    count = len(model.layer_kinds)
    each = ceil_div(adapters, max(count, 1))
    tied = model.tie_word_embeddings or not tables["head"]
    return Units(
        parts,
        tuple(kinds.get(kind, 0) + each for kind in model.layer_kinds),
        embedding=0 if tied else tables["embedding"],
        last=0 if tied else tables["head"],
        whole=tables["rest"] + (tables["embedding"] if tied else 0),
        reshards=reshards,
        trains_base=trains_base,
        reduced=reduced,
        stored=stored,
    )


Held = tuple[Amount, ...]
"""What is there beside the tensors of the step, all of it constant."""


def _held(**pieces: int) -> Held:
    labels = {
        "whole": "embeddings and what is in no layer, whole",
        "weights": "weights of layers, whole",
        "flat": "flat buffer of an all-gather",
        "before": "flat buffer of the unit in front",
        "ahead": "flat buffer of the unit that comes next",
        "gradients": "whole gradients of a unit",
        "input": "input of a reduce-scatter",
        "output": "output of a reduce-scatter",
    }
    return tuple(Amount(labels[name], "one", n, 1, "weights") for name, n in pieces.items() if n)


def entering(u: Units) -> Held:
    """While the embedding runs."""
    return _held(whole=u.whole + u.embedding, flat=u.embedding or u.whole)


def copying(u: Units, i: int) -> Held:
    """While layer i, or the last unit where i is the number of layers, is copied out of its buffer: that of the unit in
    front is held until it is done."""
    unit = (*u.layers, u.last)[i]
    before = u.layers[i - 1] if i else u.embedding or u.whole
    kept = u.whole if u.reshards else u.whole + u.embedding + sum(u.layers[:i])
    return _held(whole=kept, weights=unit, flat=unit, before=before)


def running(u: Units, i: int) -> Held:
    """While layer i runs forward."""
    if u.reshards:
        return _held(whole=u.whole, weights=u.layers[i], flat=u.layers[i])
    return _held(whole=u.whole + u.embedding, weights=sum(u.layers[: i + 1]), flat=u.layers[i])


def resting(u: Units) -> int:
    """Whole weights between the passes, without those of the last unit [B]."""
    return u.whole if u.reshards else u.whole + u.embedding + sum(u.layers)


def losing(u: Units) -> Held:
    """While final norm, output layer and loss run forward; where their unit is whole already, none follows the last
    layer, and its buffer stays."""
    return _held(whole=resting(u) + u.last, flat=u.last or u.layers[-1])


def unlosing(u: Units, behind_logits: bool) -> Held:
    """While the loss runs backward; ``behind_logits``: the gradient of the logits is there, and with it the hook that
    gathers the last layer ahead."""
    ahead = u.layers[-1] if behind_logits and u.reshards else 0
    return _held(whole=resting(u) + u.last, ahead=ahead)


def unlost(u: Units) -> Iterator[Held]:
    """When the gradients of the last unit are reduced: its weights are in parts again."""
    if u.trains_base and u.last:
        ahead = u.layers[-1] if u.reshards else 0
        yield _held(whole=resting(u), ahead=ahead, gradients=u.last, input=u.reduced * u.last, output=u.output(u.last))


def returning(u: Units, i: int, gradients: int) -> Held:
    """While layer i runs backward; ``gradients``: those of the layer behind it, whose reduce-scatter may go on [B]."""
    if u.reshards:
        weights, ahead = u.layers[i], u.layers[i - 1] if i else u.embedding
        whole = u.whole
    else:
        weights, ahead = sum(u.layers[: i + 1]), 0
        whole = u.whole + u.embedding
    return _held(whole=whole, weights=weights, ahead=ahead, input=u.reduced * gradients)


def returned(u: Units, gradients: int) -> Held:
    """When the gradient of a frozen embedding's output arrives, behind the first layer with its ``gradients`` [B]."""
    flat = u.embedding if u.reshards else 0
    return _held(whole=u.whole + u.embedding, flat=flat, input=u.reduced * gradients)


def leaving(u: Units, gradients: int, reduces: bool) -> tuple[Held, Held]:
    """Behind the first layer, where the embedding is trained: while its gradient is made, and when it is reduced.

    Args:
        u: the units.
        gradients: those of the first layer [B].
        reduces: gradients of this pass are all there are.
    """
    table = u.embedding or u.whole
    made = _held(whole=u.whole + u.embedding, input=u.reduced * gradients)
    if not reduces:
        return made, ()
    kept = u.whole if u.embedding else 0
    return made, _held(whole=kept, gradients=table, input=u.reduced * table, output=u.output(table))
