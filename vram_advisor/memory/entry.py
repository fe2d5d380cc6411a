"""From token ids to the input of the first layer: embeddings, positions, what all layers share.

Sources: transformers ``models/gpt2/modeling_gpt2.py`` GPT2Model and its relatives; ``masking_utils.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.habits import habits
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Moment, profile
from vram_advisor.memory.scores import is_masked, kernel
from vram_advisor.memory.tape import Value


@dataclass(frozen=True, slots=True)
class Entry:
    """What leads to the first layer."""

    held: tuple[Amount, ...]
    """Held by the loop over the layers beside their inputs."""
    holds_input: bool
    """The loop holds the input of the first layer itself."""
    saved: tuple[Amount, ...]
    """Kept for the backward pass."""
    backward: tuple[Moment, ...]
    """Moments of the last steps of the backward pass; the gradient that arrives is included."""


def enter(
    model: ModelSpec, numerics: Numerics, trained: bool, checkpointed: bool = False, keep_gradients: bool = True
) -> Entry:
    """Play the embeddings; ``trained``: the token embedding is.

    With checkpointing PEFT makes the embedding's output require a gradient: what follows saves for its backward pass.
    """
    n = numerics
    h = habits(model.architecture)
    t = LayerTape(n, keep_gradients)
    width = model.embedding_size or model.hidden_size
    leaf = checkpointed and not trained
    tokens = table(t, "token embedding", "T", model.vocab_size, width, trained, ties(model, n), leaf)
    held: list[Value] = []
    x = tokens
    if width != model.hidden_size:
        x = linear(t, x, "project_in", model.hidden_size)
    if h.scaled_embedding != "not":
        x = t.scale(x, "scaled embedding")
        tokens = x if h.scaled_embedding == "inside" else tokens
    if model.position_rows:
        rows = "T" if h.positions_by_token else "s"
        positions = table(t, "position embedding", rows, model.position_rows, model.hidden_size, n.train_base)
        held += [x, positions]
        x = t.add(x, positions, "embedding with positions")
    if model.embedding_norm:
        held.append(x)
        x = norm(t, x, "embedding norm", model.embedding_norm)
    if model.embedding_dropout:
        held += [] if held or h.embedding_rebound else [x]
        x = t.dropout(x, "embedding")
    if h.embedded_apart:
        held = []
    if leaf and x is not tokens:
        t.keep(tokens)
    gradient = Amount("gradient of hidden states", "T", model.hidden_size, n.stream, "gradient")
    played = profile(t, None, x, gradient)
    saved = {a for operation in t.operations for a in operation.saved}
    kept = tuple(v.buffer for v in held if v.buffer not in saved)
    kept += () if checkpointed else masks(model, n)
    first = model.blocks[0].attention
    if h.returns_probabilities and first and kernel(n, first, h) == "eager":
        itemsize = n.stream if n.quantization != "none" else n.autocast or n.stream
        kept += (Amount("probabilities of the layer before", "Q", first.num_attention_heads, itemsize, "activation"),)
    return Entry(kept, not held and not h.embedded_apart, played.saved.amounts, played.backward)


def table(
    t: LayerTape, label: str, rows: str, count: int, width: int, trained: bool, summed: bool = False, leaf: bool = False
) -> Value:
    """Rows of a table; the gradient of a trained one is as large as it is, and may be summed with an earlier one."""
    n = t.numerics
    total = [Amount(f"sum of the gradients of the {label}", "one", count * width, n.weight, "gradient")]
    weight = t.record(
        f"{label} table", [], "one", count * width, n.weight,
        needs_grad=trained, backward_temporaries=total if summed else [], kind="weight",
    )  # fmt: skip
    return t.record(label, [weight], rows, width, n.stream, needs_grad=leaf)


def ties(model: ModelSpec, n: Numerics) -> bool:
    """The embedding is the output layer: its gradient is added to a view of the output layer's, out of place."""
    return model.tie_word_embeddings and n.train_base and n.autocast in (None, n.weight)


def shared(model: ModelSpec, numerics: Numerics, checkpointed: bool) -> tuple[Amount, ...]:
    """Tables of positions and token ids: alive from the forward to the end of the backward pass.

    Masks live as long where a layer saves them or checkpointing keeps the arguments of the layers.
    """
    n = numerics
    h = habits(model.architecture)
    attentions = [b.attention for b in model.blocks if b.attention]
    rotary = max((a.rotary_dim for a in attentions), default=0)
    itemsize = 4 if h.rotary == "fp32_tables" else n.stream
    tables = len({a.sliding_window for a in attentions}) if h.rotary_by_window else 1
    positions = Amount("cosines and sines of positions", "s", 2 * rotary, itemsize, "activation", tables)
    ids = Amount("token ids, labels, mask", "T", 3, 8, "activation")
    amounts = (positions, ids) if rotary else (ids,)
    if h.position_tables == "looked_up":
        width = (model.max_position_embeddings or 0) * rotary
        amounts = (Amount("tables of positions", "one", width, 4, "activation", model.num_hidden_layers), ids)
    return amounts + (masks(model, n) if checkpointed or h.eager == "biased_fp32" else ())


def masks(model: ModelSpec, numerics: Numerics) -> tuple[Amount, ...]:
    """Masks that all layers share: numbers for attention written out, bits for scaled_dot_product_attention."""
    n = numerics
    h = habits(model.architecture)
    attentions = [b.attention for b in model.blocks if b.attention]
    kinds = {(kernel(n, a, h), a.sliding_window, is_masked(n, a, h)) for a in attentions}
    added = sum(name == "eager" for name, *_ in kinds)
    chosen = sum(masked and name in ("efficient", "math") for name, _, masked in kinds)
    bits = h.eager == "biased_fp32"
    amounts = []
    if added and model.causal:
        amounts.append(Amount("causal mask", "Q", 1, 1 if bits else n.weight, "activation", added))
    if chosen:
        amounts.append(Amount("attention mask", "Q" if n.padded else "ss", 1, 1, "activation", chosen))
    return tuple(amounts)
