"""A recorded computation and the life of every buffer in it.

The memory of a training step is decided by which tensors are alive together. A layer is written down once, operation
by operation, as the framework runs it: what each operation allocates, what it saves for the backward pass, which
temporaries it needs. Playing that recording forward and backward by the rules of the framework gives every moment of
memory. Sizes are linear in a few symbols of the workload, so the moments are found once per model and recipe, and the
peak for any batch and length is the largest of a handful of sums.

Rules played (PyTorch: ``torch/csrc/autograd/engine.cpp``, ``input_buffer.cpp``, ``functions/accumulate_grad.cpp``):

- a buffer lives until its last use in Python and until the backward node that saved it has run;
- nodes run in the reverse order of recording; the incoming gradient lives until its node has run;
- a second gradient for the same value is added in place where the first has a single owner;
- a parameter's gradient is kept (first micro batch) or added to the one that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vram_advisor.domain.amount import ZERO, Amount, Size, minus, plus


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Value:
    """A tensor in the recording: a view of a buffer, with the shape that its gradient will have."""

    buffer: Amount
    rows: str
    width: int
    itemsize: int
    needs_grad: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Operation:
    """One step of the recording."""

    name: str
    inputs: tuple[Value, ...]
    output: Value | None
    saved: tuple[Amount, ...]
    temporaries: tuple[Amount, ...]
    backward_temporaries: tuple[Amount, ...]
    parameters: tuple[Amount, ...]
    """Gradients of the weights that the operation trains."""
    passes_gradient: bool
    """The gradient of the output is handed to the inputs without a copy (addition, views)."""
    casts_gradient: bool
    """The gradient buffer of an input is a copy only where the dtype changes."""
    gradient_is_view: bool
    """The gradient of the input is a view of the matrix product's result: a second gradient is not added in place."""
    gradient_in_input: bool
    """The gradient is written over the saved input (fused cross entropies)."""
    pinned: tuple[Amount, ...]
    """Kept as attributes of the node, not as saved tensors: checkpointing does not drop them and they go with the
    whole graph."""
    selective: str
    """What selective checkpointing makes of it: ``product`` (every second one is kept), ``attention`` (kept) or
    nothing."""
    siblings: tuple[Value, ...] = ()
    """Further outputs of the same node, views of the same buffer (``split``)."""
    broadcasts: bool = False
    """An input narrower than the output is stretched: its gradient is a sum of its own."""


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
        self.total = ZERO
        self.moments: list[Moment] = []

    def take(self, buffer: Amount) -> None:
        owners = self.alive.get(buffer, 0)
        self.alive[buffer] = owners + 1
        if not owners:
            self.total = plus(self.total, buffer.size)

    def free(self, buffer: Amount) -> None:
        owners = self.alive[buffer] - 1
        if owners:
            self.alive[buffer] = owners
        else:
            del self.alive[buffer]
            self.total = minus(self.total, buffer.size)

    def note(self) -> None:
        """Remember this moment unless another is at least as large in every symbol."""
        now = self.total
        for moment in self.moments:
            if all(map(int.__ge__, moment.size, now)):
                return
        self.moments = [m for m in self.moments if not all(map(int.__ge__, now, m.size))]
        self.moments.append(Moment(now, tuple(self.alive)))


class Tape:
    """Records operations; ``profile`` plays them."""

    def __init__(self, keep_gradients: bool = True) -> None:
        self.operations: list[Operation] = []
        self.holds: dict[Amount, int] = {}
        self.keep_gradients = keep_gradients
        """False where gradients of an earlier micro batch are there already: new ones are added and freed."""

    def value(
        self, label: str, rows: str, width: int, itemsize: int, needs_grad: bool, kind: str = "activation"
    ) -> Value:
        """A tensor that exists before the recording starts."""
        return Value(Amount(label, rows, width, itemsize, kind), rows, width, itemsize, needs_grad)

    def record(
        self,
        name: str,
        inputs: Sequence[Value],
        rows: str,
        width: int,
        itemsize: int,
        *,
        saved: Iterable[Value | Amount] = (),
        save_output: bool = False,
        temporaries: Iterable[Amount] = (),
        backward_temporaries: Iterable[Amount] = (),
        parameters: Iterable[Amount] = (),
        view: bool = False,
        slices: bool = False,
        passes_gradient: bool = False,
        casts_gradient: bool = False,
        gradient_is_view: bool = False,
        gradient_in_input: bool = False,
        broadcasts: bool = False,
        pinned: Iterable[Value] = (),
        selective: str = "",
        kind: str = "activation",
        differentiable: bool = True,
        needs_grad: bool = False,
    ) -> Value:
        """Record one operation and return its output [rows x width elements of itemsize bytes].

        A view shares the buffer of its first input; one that slices gets a gradient of the full width of its input.
        ``saved`` counts only where the output needs a gradient.
        """
        params = tuple(parameters)
        needs = needs_grad or (differentiable and (bool(params) or any(v.needs_grad for v in inputs)))
        buffer = inputs[0].buffer if view else Amount(name, rows, width, itemsize, kind)
        output = Value(buffer, rows, width, itemsize, needs)
        kept = tuple(v.buffer if isinstance(v, Value) else v for v in saved) if needs else ()
        if save_output and needs:
            kept += (buffer,)
        self.operations.append(
            Operation(
                name=name,
                inputs=tuple(inputs),
                output=output,
                saved=kept,
                temporaries=tuple(temporaries),
                backward_temporaries=tuple(backward_temporaries) if needs else (),
                parameters=params if needs else (),
                passes_gradient=passes_gradient or (view and not slices),
                casts_gradient=casts_gradient,
                gradient_is_view=gradient_is_view,
                gradient_in_input=gradient_in_input,
                pinned=tuple(v.buffer for v in pinned) if needs else (),
                selective=selective,
                broadcasts=broadcasts,
            )
        )
        return output

    def split(self, x: Value, **widths: int) -> tuple[Value, ...]:
        """``x.split(...)``: views under the names given; one node joins their gradients when all have arrived."""
        parts = tuple(Value(x.buffer, x.rows, width, x.itemsize, x.needs_grad) for width in widths.values())
        self.record("split", [x], x.rows, x.width, x.itemsize, view=True, slices=True)
        self.operations[-1] = replace(self.operations[-1], output=parts[0], siblings=parts[1:])
        return parts

    def keep(self, value: Value) -> None:
        """The caller holds the value until the backward pass is over."""
        first = self.operations[0]
        self.operations[0] = replace(first, saved=(*first.saved, value.buffer))

    def drop(self, *values: Value) -> None:
        """The Python variables that held these values go out of scope here."""
        self.operations.append(Operation("drop", values, None, (), (), (), (), False, False, False, False, (), ""))

    def pinned(self) -> tuple[Amount, ...]:
        """Buffers that nodes keep as attributes."""
        return tuple(dict.fromkeys(a for operation in self.operations for a in operation.pinned))

    def kept_selectively(self) -> tuple[Amount, ...]:
        """What selective checkpointing keeps of a layer: every second matrix product and the attention's result.

        Source: torchtitan ``distributed/activation_checkpoint.py`` (op-level policy).
        """
        products = [o for o in self.operations if o.selective == "product" and o.output is not None]
        kept = [o.output.buffer for o in products[::2] if o.output is not None]
        for operation in self.operations:
            if operation.selective == "attention" and operation.output is not None:
                inputs = {v.buffer for v in operation.inputs}
                kept += [a for a in operation.saved if a not in inputs]
        return tuple(dict.fromkeys(kept))

    def profile(self, source: Value | None, result: Value, gradient: Amount | None) -> Profile:
        """Play the recording.

        Args:
            source: the input whose gradient the backward pass returns; not counted, its owner counts it.
            result: the output; it is counted in the forward moments and handed on.
            gradient: the gradient that arrives for ``result``; None where the recording ends in a scalar.
        """
        forward = self._forward(source, result, saving=True)
        forgetful = self._forward(source, result, saving=False)
        saved = _Live()
        for operation in self.operations:
            for buffer in operation.saved:
                if source is None or buffer is not source.buffer:
                    saved.take(buffer)
        backward = self._backward(source, result, gradient)
        again = self._recompute(source, result, gradient)
        kept = sum(p.size[0] for o in self.operations for p in o.parameters) if self.keep_gradients else 0
        return Profile(
            tuple(forward.moments),
            tuple(forgetful.moments),
            Moment(saved.total, tuple(saved.alive)),
            tuple(backward.moments),
            tuple(again.moments),
            kept,
        )

    def _forward(
        self, source: Value | None, result: Value, saving: bool, start: Sequence[Amount] = (), stop: int | None = None
    ) -> _Live:
        # Frames that early stopping leaves by an exception hold their variables until then.
        operations = self.operations
        last: dict[Amount, int] = {}
        for i, operation in enumerate(operations):
            for v in operation.inputs:
                last[v.buffer] = i
            if operation.output is not None:
                last.setdefault(operation.output.buffer, i)
                last[operation.output.buffer] = max(last[operation.output.buffer], i)
        last[result.buffer] = len(operations)
        live = _Live()
        for buffer in start:
            live.take(buffer)
        born: set[Amount] = {source.buffer} if source is not None else set()
        ends: dict[int, list[Amount]] = {}
        for buffer, i in last.items():
            ends.setdefault(i, []).append(buffer)
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

    def _backward(
        self, source: Value | None, result: Value, gradient: Amount | None, live: _Live | None = None
    ) -> _Live:
        if live is None:
            live = _Live()
            for operation in self.operations:
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
        for operation in reversed(self.operations):
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
            if not self.keep_gradients:
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

    def _before_first_saved(self, source: Value | None, result: Value, gradient: Amount | None) -> tuple[Amount, ...]:
        """Gradients alive when the backward pass first asks for a saved buffer: that starts the second forward pass."""
        if gradient is None:
            return ()
        waiting: dict[Value, Amount] = {result: gradient}
        for operation in reversed(self.operations):
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

    def _recompute(self, source: Value | None, result: Value, gradient: Amount | None) -> _Live:
        # Non-reentrant checkpointing stops the second forward pass once the last saved buffer is back
        # (torch/utils/checkpoint.py, early_stop): inputs are packed before the operation allocates its output.
        stop = 0
        for i, operation in enumerate(self.operations):
            if operation.saved:
                stop = i + 1
        start = self._before_first_saved(source, result, gradient)
        live = self._forward(source, result, saving=True, start=start, stop=stop)
        again = self._backward(source, result, gradient)
        for moment in again.moments:
            live.total = moment.size
            live.alive = dict.fromkeys(moment.amounts, 1)
            live.note()
        return live
