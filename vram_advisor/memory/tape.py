"""A recorded computation and the life of every buffer in it.

The memory of a training step is decided by which tensors are alive together. A layer is written down once, operation
by operation, as the framework runs it: what each operation allocates, what it saves for the backward pass, which
temporaries it needs. ``memory.play`` runs that recording forward and backward by the rules of the framework, which gives
every moment of memory. Sizes are linear in a few symbols of the workload, so the moments are found once per model and recipe, and the
peak for any batch and length is the largest of a handful of sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vram_advisor.domain.amount import Amount


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


class Tape:
    """Records operations; ``play.profile`` plays them."""

    def __init__(self, keep_gradients: bool = True) -> None:
        self.operations: list[Operation] = []
        self.holds: dict[Amount, int] = {}
        self.keep_gradients = keep_gradients
        """False where gradients of an earlier micro batch are there already: new ones are added and freed."""
        self.kept: list[Amount] = []
        """What the caller holds."""

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
        self.kept.append(value.buffer)

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
