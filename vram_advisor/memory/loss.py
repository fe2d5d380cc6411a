"""From the last hidden states to the loss: final norm, output layer, cross entropy.

Sources: transformers ``loss/loss_utils.py`` (fp32 upcast, log-softmax), accelerate ``utils/operations.py`` (outputs in
fp32), trl ``kernels/chunked_logprob.py`` (tiles), liger ``ops/fused_linear_cross_entropy.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import ModelSpec
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.norms import norm
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.tape import Profile, Value


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


def head_profile(model: ModelSpec, numerics: Numerics, habits: HeadHabits, keep_gradients: bool = True) -> Profile:
    """Play the part of the step behind the last layer."""
    tape = LayerTape(numerics, keep_gradients)
    h, v = model.hidden_size, model.vocab_size
    trained = habits.train_head
    hidden = tape.record("last hidden states", [], "T", h, numerics.stream, differentiable=True, needs_grad=True)
    normed = norm(tape, hidden, "final norm", model.final_norm) if model.final_norm else hidden
    tape.drop(hidden)
    if habits.loss in ("trl_fused_head", "cut_cross_entropy"):
        loss = _tiles(tape, normed, v, trained)
    else:
        loss = _logits(tape, normed, v, trained, habits, model.logit_softcapping)
    return tape.profile(None, loss, None)


def _tiles(tape: LayerTape, hidden: Value, vocab: int, trained: bool) -> Value:
    """The output layer fused with the loss, on tiles; gradients are summed in fp32."""
    n = tape.numerics
    compute = n.autocast or hidden.itemsize
    tile = Amount("logits of one tile", "C", min(vocab, TILE_COLUMNS), compute, "logits")
    rows = Amount("statistics of the loss per token", "T", 10, 4, "logits")
    saved_rows = Amount("log-sum-exp per token", "T", 4, 4, "logits")
    total = Amount("gradient of hidden states in fp32", "T", hidden.width, 4, "gradient")
    work = [tile, total]
    parameters: list[Amount] = []
    if trained:
        work.append(Amount("gradient of the output layer in fp32", "one", vocab * hidden.width, 4, "gradient"))
        parameters.append(Amount("gradient of the output layer", "one", vocab * hidden.width, n.weight, "gradient"))
    logprobs = tape.record(
        "log-probabilities", [hidden], "T", 1, 4,
        saved=[hidden, saved_rows], temporaries=[tile, rows], backward_temporaries=work, parameters=parameters,
    )  # fmt: skip
    loss = tape.scale(logprobs, "loss")
    tape.drop(hidden)
    return loss


def _logits(tape: LayerTape, hidden: Value, vocab: int, trained: bool, habits: HeadHabits, softcapping: bool) -> Value:
    """Full logits, upcast to fp32, log-softmax and its gradient [T x vocab_size]."""
    logits = tape.matmul(hidden, "logits", hidden.width, vocab, habits.head_itemsize, trained)
    if softcapping:
        small = tape.scale(logits, "logits / cap")
        bent = tape.record("tanh of logits", [small], "T", vocab, small.itemsize, save_output=True, kind="logits")
        logits = tape.scale(bent, "capped logits")
    wide = tape.cast(logits, 4, "logits in fp32")
    softened = tape.record("log-softmax", [wide], "T", vocab, 4, save_output=True, kind="logits")
    loss = tape.record("loss", [softened], "one", 1, 4)
    tape.drop(wide)
    if habits.outputs_in_fp32 and logits.itemsize != 4:
        copy = tape.record("outputs in fp32", [logits], "T", vocab, 4, differentiable=False, kind="logits")
        tape.drop(copy)
        if habits.outputs_kept:
            tape.keep(copy)
    elif habits.outputs_kept:
        tape.keep(logits)
    tape.drop(logits, hidden)
    return loss
