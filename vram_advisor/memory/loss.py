"""From the last hidden states to the loss: final norm, output layer, cross entropy.

Sources: transformers ``loss/loss_utils.py`` (fp32 upcast, log-softmax), accelerate ``utils/operations.py`` (outputs in
fp32), trl ``kernels/chunked_logprob.py`` (tiles), liger ``ops/fused_linear_cross_entropy.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.kernels import loss_kernel
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.play import Profile, profile
from vram_advisor.memory.tape import Value
from vram_advisor.units.grid import Number, ceil_div, largest, power_of_two, smallest, where


@dataclass(frozen=True, slots=True)
class HeadHabits:
    """How a training stack computes the loss."""

    loss: str = "standard"
    outputs_kept: bool = False
    """The caller keeps the outputs object through the backward pass."""
    outputs_in_fp32: bool = False
    """accelerate turns returned logits into fp32 (mixed precision in the Trainer)."""
    head_itemsize: int = 2
    """Item size of the output layer's weight [B]: 4 after kbit preparation."""
    logits_form: str = "v5"
    """How transformers of one era turns logits into a loss (``domain.recipe``)."""
    train_head: bool = False
    one_sequence: bool = True
    """A single sequence: slices of its logits are contiguous and not copied."""


TILE_ROWS, TILE_COLUMNS = 4096, 32768
"""TRL's fused head works on tiles of at most this many tokens and vocabulary entries."""
NO_UPCAST = frozenset({"gpt_bigcode", "qwen"})
"""Architectures whose own code of before 4.50 takes the cross entropy of 16-bit logits; autocast upcasts inside it."""
UNSLOTH_TARGET = 4 * 2**30
"""Bytes that Unsloth's fused loss aims at [B]."""
CHUNK_ROWS = 512
"""Rows of a chunk of the chunked cross entropy."""


@dataclass(frozen=True, slots=True)
class Head:
    """The part of the step behind the last layer, played."""

    profile: Profile
    outputs: tuple[Amount, ...]
    """What the loop holds of the outputs, if it does."""


def play_head(model: ModelSpec, numerics: Numerics, habits: HeadHabits, keep_gradients: bool = True) -> Head:
    """Play the part of the step behind the last layer."""
    tape = LayerTape(numerics, keep_gradients)
    hidden = tape.record("last hidden states", [], "T", model.hidden_size, numerics.stream, needs_grad=True)
    if not model.causal:
        # An encoder is trained with a head of a few classes: nothing is as wide as the vocabulary.
        loss = tape.record("loss", [hidden], "one", 1, 4)
        tape.drop(hidden)
        return Head(profile(tape, None, loss, None), ())
    normed = norm(tape, hidden, "final norm", model.final_norm) if model.final_norm else hidden
    tape.drop(hidden)
    if model.embedding_size is not None and model.embedding_size != model.hidden_size:
        normed = linear(tape, normed, "project_out", model.embedding_size)
    write = {"tiles": _tiles, "chunked": _chunks, "liger": _liger, "pieces": _pieces}.get(
        loss_kernel(habits.loss).form, _logits
    )
    loss = write(tape, normed, model, habits)
    return Head(profile(tape, None, loss, None), tuple(tape.kept))


def loss_rows(model: ModelSpec, loss: str, tokens: Number) -> Number:
    """Rows that the loss works on at one time, the symbol C of ``amount.SYMBOLS``.

    Unsloth: one chunk where 16 B per logit stay below 4 GiB, else a multiple of four chunks
    (unsloth_zoo ``fused_losses/cross_entropy_loss.py``, enough free memory taken for granted). Liger: the power of two at or above tokens / ceil(vocab_size / hidden_size)
    (liger_kernel ``ops/fused_linear_cross_entropy.py``).
    """
    form = loss_kernel(loss).form
    if loss == "unsloth_fused":
        parts = ceil_div(ceil_div(16 * tokens * model.vocab_size, UNSLOTH_TARGET), 4) * 4
        return where(16 * tokens * model.vocab_size <= UNSLOTH_TARGET, tokens, ceil_div(tokens, largest(parts, 1)))
    if form == "liger":
        parts = ceil_div(model.vocab_size, model.hidden_size)
        return smallest(tokens, power_of_two(ceil_div(tokens, parts)))
    return smallest(tokens, CHUNK_ROWS if form == "chunked" else TILE_ROWS)


def _tiles(tape: LayerTape, hidden: Value, model: ModelSpec, habits: HeadHabits) -> Value:
    """The output layer fused with the loss, on tiles; gradients are summed in fp32."""
    n, vocab = tape.numerics, model.vocab_size
    compute = n.autocast or hidden.itemsize
    tile = Amount("logits of one tile", "C", min(vocab, TILE_COLUMNS), compute, "logits")
    rows = Amount("statistics of the loss per token", "T", 10, 4, "logits")
    saved_rows = Amount("log-sum-exp per token", "T", 4, 4, "logits")
    total = Amount("gradient of hidden states in fp32", "T", hidden.width, 4, "gradient")
    work = [tile, total]
    parameters: list[Amount] = []
    if habits.train_head:
        work.append(Amount("gradient of the output layer in fp32", "one", vocab * hidden.width, 4, "gradient"))
        parameters.append(_head_gradient(tape, hidden, vocab))
    logprobs = tape.record(
        "log-probabilities", [hidden], "T", 1, 4,
        saved=[hidden, saved_rows], temporaries=[tile, rows], backward_temporaries=work, parameters=parameters,
    )  # fmt: skip
    loss = tape.scale(logprobs, "loss")
    tape.drop(hidden)
    return loss


def _chunks(tape: LayerTape, hidden: Value, model: ModelSpec, habits: HeadHabits) -> Value:
    """Output layer and cross entropy for a chunk of rows, computed again in the backward pass."""
    vocab = model.vocab_size
    forward = [
        Amount(f"{what} of a chunk", "C", vocab, b, "logits")
        for what, b in (("logits", 2), ("fp32 logits", 4), ("log-softmax", 4))
    ]
    backward = [
        Amount(f"{what} of a chunk", "C", vocab, 4, "logits")
        for what in ("log-softmax", "its gradient", "gradient of the logits")
    ]
    parameters = [_head_gradient(tape, hidden, vocab)] if habits.train_head else []
    loss = tape.record(
        "loss", [hidden], "one", 1, 4,
        saved=[hidden], temporaries=forward, backward_temporaries=backward, parameters=parameters,
    )  # fmt: skip
    tape.drop(hidden)
    return loss


def _pieces(tape: LayerTape, hidden: Value, model: ModelSpec, habits: HeadHabits) -> Value:
    """Logits made piece by piece; what of them stays alive is a number of bytes per logit."""
    row, vocab = loss_kernel(habits.loss), model.vocab_size

    def part(label: str, share: float) -> Amount:
        return Amount(label, "T", int(share * vocab), 1, "logits")

    kept = part("logits and log-softmax that stay", row.saved)
    passing = part("logits of the pieces", row.alive - row.saved)
    back = part("gradients of a piece", row.gradient)
    parameters = [_head_gradient(tape, hidden, vocab)] if habits.train_head else []
    saved: list[Value | Amount] = [kept, hidden] if habits.train_head else [kept]
    loss = tape.record(
        "loss", [hidden], "one", 1, 4,
        saved=saved, temporaries=[passing], backward_temporaries=[back], parameters=parameters,
    )  # fmt: skip
    tape.drop(hidden)
    return loss


def _liger(tape: LayerTape, hidden: Value, model: ModelSpec, habits: HeadHabits) -> Value:
    """Liger computes the gradients in the forward pass, a chunk of rows at a time, over the logits themselves."""
    n, vocab = tape.numerics, model.vocab_size
    compute = n.autocast or hidden.itemsize
    hidden = tape.cast(hidden, compute)
    chunk = Amount("logits of a chunk", "C", vocab, compute, "logits")
    grad_input = Amount("gradient of hidden states", "T", hidden.width, compute, "gradient")
    part = Amount("gradient of a chunk", "C", hidden.width, compute, "gradient")
    saved: list[Value | Amount] = [grad_input]
    parameters: list[Amount] = []
    if habits.train_head:
        saved.append(Amount("gradient of the output layer", "one", vocab * hidden.width, n.weight, "gradient"))
        parameters.append(_head_gradient(tape, hidden, vocab))
    work = [chunk, part]
    if habits.head_itemsize != compute:
        # Each matrix product of a chunk casts the frozen fp32 output layer anew.
        work.append(Amount("output layer in 16 bit", "one", vocab * hidden.width, compute, "weight copy"))
    loss = tape.record("loss", [hidden], "T", 1, 4, saved=saved, temporaries=work, parameters=parameters)
    tape.drop(hidden)
    return loss


def _head_gradient(tape: LayerTape, hidden: Value, vocab: int) -> Amount:
    return Amount("gradient of the output layer", "one", vocab * hidden.width, tape.numerics.weight, "gradient")


def _logits(tape: LayerTape, hidden: Value, model: ModelSpec, habits: HeadHabits) -> Value:
    """Full logits, upcast to fp32, cross entropy [T x vocab_size]."""
    vocab = model.vocab_size
    logits = tape.matmul(hidden, "logits", hidden.width, vocab, habits.head_itemsize, habits.train_head)
    if model.logit_softcapping:
        small = tape.scale(logits, "logits / cap")
        bent = tape.record("tanh of logits", [small], "T", vocab, small.itemsize, save_output=True, kind="logits")
        logits = tape.scale(bent, "capped logits")
    returned = logits
    early = habits.logits_form != "v5" and model.architecture in NO_UPCAST
    wide = logits if early else tape.cast(logits, 4, "logits in fp32")
    if habits.logits_form == "4.45":
        # The fp32 logits take the name of the 16-bit ones and are what the model returns.
        returned = wide
    source = shifted = wide
    if habits.logits_form != "v5" and not habits.one_sequence:
        source = shifted = tape.record("shifted logits", [wide], "T", vocab, wide.itemsize, kind="logits")
    if early and tape.numerics.autocast is not None and loss_kernel(habits.loss).form != "fused":
        source = tape.cast(source, 4, "logits in fp32")
    if loss_kernel(habits.loss).form == "fused":
        loss = tape.record("loss", [source], "T", 1, 4, saved=[source], gradient_in_input=True)
    else:
        softened = tape.record("log-softmax", [source], "T", vocab, source.itemsize, save_output=True, kind="logits")
        loss = tape.record("loss", [softened], "one", 1, 4)
    tape.drop(wide, shifted, source)
    if habits.outputs_in_fp32 and returned.itemsize != 4:
        copy = tape.record("outputs in fp32", [returned], "T", vocab, 4, differentiable=False, kind="logits")
        tape.drop(copy)
        if habits.outputs_kept:
            tape.keep(copy)
    elif habits.outputs_kept:
        tape.keep(returned)
    tape.drop(returned, hidden)
    return loss
