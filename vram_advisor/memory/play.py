"""A recording played forward and backward: every moment of memory.

Rules played (PyTorch: ``torch/csrc/autograd/engine.cpp``, ``input_buffer.cpp``, ``functions/accumulate_grad.cpp``):

- a buffer lives until its last use in Python and until the backward node that saved it has run;
- nodes run in the reverse order of recording; the incoming gradient lives until its node has run;
- a second gradient for the same value is added in place where the first has a single owner;
- a parameter's gradient is kept (first micro batch) or added to the one that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vram_advisor.domain.amount import INDEX, ZERO, Amount, Size
from vram_advisor.memory.tape import Tape, Value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Moment:
    """Buffers that are alive together."""

    size: Size
    amounts: tuple[Amount, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Profile:
    """What a recording needs, without its inputs.

    ``forward``: moments of the forward pass while buffers are saved; ``forgetful``: the same where nothing is saved
    (checkpointed or without gradient); ``saved``: alive between the passes; ``backward``: moments of the backward
    pass, the saved buffers included; ``recompute``: moments of a checkpointed backward pass: the forward pass again,
    then the backward pass. The gradient that arrives is included in the last two.
    """

    forward: tuple[Moment, ...]
    forgetful: tuple[Moment, ...]
    saved: Moment
    backward: tuple[Moment, ...]
    recompute: tuple[Moment, ...]
    parameter_gradients: int
    """Bytes of gradients that stay [B]."""


class _Live:
    """The set of buffers alive now, with the moments that no other moment covers."""

    def __init__(self) -> None:
        self.alive: dict[Amount, int] = {}
        self.total = list(ZERO)
        """Bytes per symbol; an amount is of one symbol."""
        self.sum = 0
        """Over all symbols: a moment that covers another has no smaller one."""
        self.moments: list[Moment] = []
        self.sums: list[int] = []
        """Of the moments."""

    def take(self, buffer: Amount) -> None:
        owners = self.alive.get(buffer, 0)
        self.alive[buffer] = owners + 1
        if not owners:
            i = INDEX[buffer.rows]
            size = buffer.size[i]
            self.total[i] += size
            self.sum += size

    def free(self, buffer: Amount) -> None:
        owners = self.alive[buffer] - 1
        if owners:
            self.alive[buffer] = owners
        else:
            del self.alive[buffer]
            i = INDEX[buffer.rows]
            size = buffer.size[i]
            self.total[i] -= size
            self.sum -= size

    def note(self) -> None:
        """Remember this moment unless another is at least as large in every symbol."""
        now = tuple(self.total)
        if self._open(now, self.sum):
            self._keep(Moment(now, tuple(self.alive)), self.sum)

    def add(self, moment: Moment) -> None:
        """The same for a moment that was played before."""
        total = sum(moment.size)
        if self._open(moment.size, total):
            self._keep(moment, total)

    def _keep(self, moment: Moment, total: int) -> None:
        self.moments.append(moment)
        self.sums.append(total)

    def _open(self, now: Size, total: int) -> bool:
        """Whether no moment covers this one; those that it covers are forgotten."""
        covered = []
        for i, moment in enumerate(self.moments):
            if self.sums[i] >= total:
                if all(map(int.__ge__, moment.size, now)):
                    return False
            elif all(map(int.__ge__, now, moment.size)):
                covered.append(i)
        for i in reversed(covered):
            del self.moments[i], self.sums[i]
        return True


def profile(tape: Tape, source: Value | None, result: Value, gradient: Amount | None) -> Profile:
    """Play the recording.

    Args:
        source: the input whose gradient the backward pass returns; not counted, its owner counts it.
        result: the output; it is counted in the forward moments and handed on.
        gradient: the gradient that arrives for ``result``; None where the recording ends in a scalar.
    """
    ends = _ends(tape, result)
    forward = _forward(tape, source, ends, saving=True)
    forgetful = _forward(tape, source, ends, saving=False)
    saved = _Live()
    for operation in tape.operations:
        for buffer in operation.saved:
            if source is None or buffer is not source.buffer:
                saved.take(buffer)
    backward = _backward(tape, source, result, gradient)
    again = _recompute(tape, source, result, gradient, ends, backward)
    kept = sum(p.size[0] for o in tape.operations for p in o.parameters) if tape.keep_gradients else 0
    return Profile(
        tuple(forward.moments),
        tuple(forgetful.moments),
        Moment(tuple(saved.total), tuple(saved.alive)),
        tuple(backward.moments),
        tuple(again.moments),
        kept,
    )


def _ends(tape: Tape, result: Value) -> dict[int, list[Amount]]:
    """Buffers by the operation that uses them last; frames that early stopping leaves by an exception hold their
    variables until then."""
    operations = tape.operations
    last: dict[Amount, int] = {}
    for i, operation in enumerate(operations):
        for v in operation.inputs:
            last[v.buffer] = i
        if operation.output is not None:
            last[operation.output.buffer] = i
    last[result.buffer] = len(operations)
    ends: dict[int, list[Amount]] = {}
    for buffer, i in last.items():
        ends.setdefault(i, []).append(buffer)
    return ends


def _forward(
    tape: Tape,
    source: Value | None,
    ends: dict[int, list[Amount]],
    saving: bool,
    start: Sequence[Amount] = (),
    stop: int | None = None,
) -> _Live:
    operations = tape.operations
    live = _Live()
    for buffer in start:
        live.take(buffer)
    born: set[Amount] = {source.buffer} if source is not None else set()
    for i, operation in enumerate(operations[:stop]):
        cut = (
            stop is not None
            and i == stop - 1
            and operation.output is not None
            and operation.output.buffer not in operation.saved
        )
        for buffer in () if cut else operation.temporaries:
            live.take(buffer)
        if operation.output is not None and operation.output.buffer not in born and not cut:
            born.add(operation.output.buffer)
            live.take(operation.output.buffer)
        if saving:
            for buffer in operation.saved:
                if source is None or buffer is not source.buffer:
                    if buffer not in born:
                        born.add(buffer)
                    live.take(buffer)
        live.note()
        for buffer in () if cut else operation.temporaries:
            live.free(buffer)
        for buffer in ends.get(i, ()):
            if buffer in born and (source is None or buffer is not source.buffer):
                live.free(buffer)
    return live


def _backward(tape: Tape, source: Value | None, result: Value, gradient: Amount | None) -> _Live:
    live = _Live()
    for operation in tape.operations:
        for buffer in operation.saved:
            if source is None or buffer is not source.buffer:
                live.take(buffer)
    if gradient is not None:
        live.take(gradient)
    waiting: dict[Value, Amount] = {}
    views: set[Amount] = set()
    if gradient is not None:
        waiting[result] = gradient
    live.note()
    for operation in reversed(tape.operations):
        output = operation.output
        if output is None or not output.needs_grad:
            continue
        arrived = waiting.pop(output, None)
        others = [waiting.pop(v) for v in operation.siblings if v in waiting]
        if arrived is None and others:
            arrived = others.pop()
        if arrived is None and (gradient is not None or output is not result):
            # A value that nothing differentiable used: its node never runs, what it saved goes with the graph.
            for buffer in operation.saved:
                if source is None or buffer is not source.buffer:
                    live.free(buffer)
            continue
        for buffer in operation.backward_temporaries:
            live.take(buffer)
        new: list[tuple[Value, Amount]] = []
        for v in operation.inputs:
            if not v.needs_grad:
                continue
            same = (
                arrived is not None
                and not (operation.broadcasts and v.width < output.width)
                and (operation.passes_gradient or (operation.casts_gradient and v.itemsize == output.itemsize))
            )
            if same and arrived is not None:
                live.take(arrived)
                new.append((v, arrived))
            elif operation.gradient_in_input:
                live.take(v.buffer)
                new.append((v, v.buffer))
            else:
                grad = Amount(f"gradient of {v.buffer.label}", v.rows, v.width, v.itemsize, "gradient")
                live.take(grad)
                new.append((v, grad))
                if operation.gradient_is_view:
                    views.add(grad)
        for parameter in operation.parameters:
            live.take(parameter)
        live.note()
        if not tape.keep_gradients:
            for parameter in operation.parameters:
                live.free(parameter)
        for buffer in operation.backward_temporaries:
            live.free(buffer)
        for buffer in operation.saved:
            if source is None or buffer is not source.buffer:
                live.free(buffer)
        if arrived is not None:
            live.free(arrived)
        for buffer in others:
            live.free(buffer)
        for v, grad in new:
            old = waiting.get(v)
            if old is None:
                waiting[v] = grad
            elif old is grad or (live.alive[old] == 1 and old not in views):
                live.free(grad)
            else:
                total = Amount(old.label, v.rows, v.width, v.itemsize, "gradient")
                live.take(total)
                live.note()
                live.free(old)
                live.free(grad)
                waiting[v] = total
    return live


def _before_first_saved(tape: Tape, source: Value | None, result: Value, gradient: Amount | None) -> tuple[Amount, ...]:
    """Gradients alive when the backward pass first asks for a saved buffer: that starts the second forward pass."""
    if gradient is None:
        return ()
    waiting: dict[Value, Amount] = {result: gradient}
    for operation in reversed(tape.operations):
        output = operation.output
        if output is None or output not in waiting:
            continue
        if operation.saved or operation.parameters:
            break
        arrived = waiting.pop(output)
        for v in operation.inputs:
            if v.needs_grad:
                same = operation.passes_gradient or (operation.casts_gradient and v.itemsize == output.itemsize)
                new = (
                    arrived
                    if same
                    else Amount(f"gradient of {v.buffer.label}", v.rows, v.width, v.itemsize, "gradient")
                )
                waiting.setdefault(v, new)
    return tuple(dict.fromkeys(waiting.values()))


def _recompute(
    tape: Tape,
    source: Value | None,
    result: Value,
    gradient: Amount | None,
    ends: dict[int, list[Amount]],
    backward: _Live,
) -> _Live:
    # Non-reentrant checkpointing stops the second forward pass once the last saved buffer is back
    # (torch/utils/checkpoint.py, early_stop): inputs are packed before the operation allocates its output.
    stop = 0
    for i, operation in enumerate(tape.operations):
        if operation.saved:
            stop = i + 1
    start = _before_first_saved(tape, source, result, gradient)
    live = _forward(tape, source, ends, saving=True, start=start, stop=stop)
    for moment in backward.moments:
        live.add(moment)
    return live
