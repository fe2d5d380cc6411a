"""The list of tensors of a model: what weights, adapters, gradients, optimizer state and files are folds over."""

from collections.abc import Iterator
from functools import lru_cache

from vram_advisor.domain.architectures.row import Names
from vram_advisor.domain.architectures.table import names_of
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.tensors.layers import Part, layer, linear, norm
from vram_advisor.domain.tensors.tensor import Tensor


@lru_cache(maxsize=512)
def tensors(model: ModelSpec) -> tuple[Tensor, ...]:
    """Every tensor of a model, layers of one kind together.

    Tied heads are listed once, as the embedding. Buffers (rotary tables, causal masks, score corrections of routers)
    and multi-token-prediction modules are not listed. Names and shapes are those of the classes of transformers 5.23.
    """
    names = names_of(model.architecture)
    listed = [placed(part, None, 1) for part in before(model, names)]
    for index, block in enumerate(model.blocks):
        count = model.layer_kinds.count(index)
        if not count:
            continue
        listed += [
            placed((f"{names.layers}.{name}", shape, role, kind), index, count)
            for name, shape, role, kind in layer(block, model.hidden_size, names)
        ]
    listed += [placed(part, None, 1) for part in after(model, names)]
    return tuple(listed)


@lru_cache(maxsize=512)
def count_parameters(model: ModelSpec) -> int:
    """Parameters of the model, towers included, tied weights once [elements]."""
    return sum(tensor.numel for tensor in tensors(model))


@lru_cache(maxsize=512)
def active_parameters(model: ModelSpec) -> int:
    """Parameters of the text model that one token passes, embeddings included [elements].

    The published figure where the model has one, else all but the experts that are not selected.
    """
    if model.active_parameters is not None:
        return model.active_parameters
    total = 0
    for tensor in tensors(model):
        experts = model.blocks[tensor.block].experts if tensor.block is not None else None
        if tensor.role == "tower":
            continue
        if experts and tensor.role == "expert" and tensor.shape[0] == experts.num_experts:
            total += tensor.numel // experts.num_experts * experts.num_experts_per_tok
        else:
            total += tensor.numel
    return total


def placed(part: Part, block: int | None, count: int) -> Tensor:
    """The tensor of a part, with the last name of its module."""
    name, shape, role, kind = part
    pieces = name.split(".")
    holder = pieces[:-1] if pieces[-1] in ("weight", "bias") and len(pieces) > 1 else pieces
    return Tensor(name, holder[-1], shape, role, kind, count, block)


def before(model: ModelSpec, names: Names) -> Iterator[Part]:
    """Tensors in front of the layers."""
    width = model.embedding_size or model.hidden_size
    yield f"{names.embedding}.weight", (model.vocab_size, width), "embedding", "embedding"
    if model.position_rows:
        name = names.position or "model.embed_positions"
        yield f"{name}.weight", (model.position_rows, model.hidden_size), "position", "embedding"
    yield from norm(names.embedding_norm or "model.embed_norm", model.hidden_size, model.embedding_norm)
    if width != model.hidden_size:
        yield from linear(names.project_in or "model.project_in", model.hidden_size, width, "other")


def after(model: ModelSpec, names: Names) -> Iterator[Part]:
    """Tensors behind the layers, and those that sit beside them."""
    width = model.embedding_size or model.hidden_size
    yield from norm(names.final_norm, model.hidden_size, model.final_norm)
    if width != model.hidden_size:
        yield from linear(names.project_out or "model.project_out", width, model.hidden_size, "other")
    if not model.tie_word_embeddings:
        yield from linear(names.head, model.vocab_size, width, "head", model.head_bias)
    elif model.head_bias:
        yield f"{names.head}.bias", (model.vocab_size,), "bias", "vector"
    for extra in model.extra:
        yield extra.name, extra.shape, extra.role, extra.kind
    if model.extra_parameters:
        yield "counted", (model.extra_parameters,), "other", "counted"
    if model.tower_parameters:
        yield "tower", (model.tower_parameters,), "tower", "counted"
