"""Elementary operations on a tape: casts, sums, products, matrix products, dropout.

Widths are elements, item sizes bytes. T = tokens of a micro batch.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.numerics import Numerics
from vram_advisor.memory.tape import Tape, Value


class LayerTape(Tape):
    """Writes layers of a model onto a tape."""

    def __init__(self, numerics: Numerics, keep_gradients: bool = True) -> None:
        super().__init__(keep_gradients)
        self.numerics = numerics
        self.autocast_copies: list[Amount] = []
        """16-bit copies of trained weights that stay until autocast exits."""

    def cast(self, x: Value, itemsize: int, label: str | None = None) -> Value:
        """``x.to(dtype)``: x itself where nothing changes."""
        if x.itemsize == itemsize:
            return x
        bits = itemsize * 8
        return self.record(
            label or f"{x.buffer.label} in {bits} bit", [x], x.rows, x.width, itemsize, casts_gradient=True
        )

    def add(self, a: Value, b: Value, label: str) -> Value:
        """``a + b``: the wider dtype, gradients are handed on."""
        return self.record(label, [a, b], a.rows, a.width, max(a.itemsize, b.itemsize), casts_gradient=True)

    def multiply(self, a: Value, b: Value, label: str) -> Value:
        """``a * b`` of two tensors: each is saved for the gradient of the other."""
        saved = ([b] if a.needs_grad else []) + ([a] if b.needs_grad else [])
        wide = max(a.itemsize, b.itemsize)
        # The gradient of a narrower operand is a wide product until it is cast behind the node.
        work = [
            Amount(f"{label} gradient product, wider by", v.rows, v.width, wide - v.itemsize, "workspace")
            for v in (a, b)
            if v.needs_grad and v.itemsize < wide
        ]
        return self.record(label, [a, b], a.rows, a.width, wide, saved=saved, backward_temporaries=work)

    def scale(self, x: Value, label: str) -> Value:
        """``x * number``."""
        return self.record(label, [x], x.rows, x.width, x.itemsize)

    def weight_copy(self, label: str, numel: int, trained: bool) -> Value:
        """The copy that autocast makes of an fp32 weight; of trained weights it is kept until autocast exits."""
        n = self.numerics
        assert n.autocast is not None
        gradient = [Amount(f"gradient of {label}", "one", numel, 4, "gradient")] if trained else []
        copy = self.record(f"{label} in 16 bit", [], "one", numel, n.autocast, parameters=gradient, kind="weight copy")
        if trained:
            self.autocast_copies.append(copy.buffer)
        return copy

    def matmul(self, x: Value, label: str, in_features: int, out_features: int, itemsize: int, trained: bool) -> Value:
        """``F.linear`` with an ordinary weight of ``itemsize`` [B]."""
        n = self.numerics
        numel = in_features * out_features
        inputs: list[Value] = []
        saved: list[Value] = []
        gradient: list[Amount] = []
        out = itemsize
        weight: Value | None = None
        if n.autocast is not None:
            out = n.autocast
            if itemsize != out:
                weight = self.weight_copy(f"{label} weight", numel, trained)
            x = self.cast(x, out)
        if weight is not None:
            inputs = [x, weight]
            saved = ([x] if trained else []) + ([weight] if x.needs_grad else [])
        else:
            inputs = [x]
            if trained:
                saved = [x]
                gradient = [Amount(f"gradient of {label} weight", "one", numel, itemsize, "gradient")]
        return self.record(
            f"{label} output",
            inputs,
            x.rows,
            out_features,
            out,
            saved=saved,
            parameters=gradient,
            selective="product",
            gradient_is_view=True,
        )

    def dropout(self, x: Value, label: str) -> Value:
        """CUDA dropout keeps a mask of one byte per element."""
        mask = Amount(f"{label} dropout mask", x.rows, x.width, 1, "activation")
        return self.record(f"{label} after dropout", [x], x.rows, x.width, x.itemsize, saved=[mask])
