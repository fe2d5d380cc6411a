"""Activation functions: one kernel, or the chain of operations that Python writes out.

Sources: transformers ``activations.py`` (NewGELUActivation, FastGELUActivation, ReLUSquaredActivation),
``models/bloom/modeling_bloom.py`` GeLUFunction; autocast runs ``pow`` in fp32 (torch ``amp`` op reference).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import Activation
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def activate(t: LayerTape, x: Value, activation: Activation, label: str) -> Value:
    """An activation function of x [T x intermediate_size]."""
    if activation == "relu":
        return t.record(label, [x], x.rows, x.width, x.itemsize, save_output=True)
    if activation == "relu2":
        return power(
            t, t.record(f"{label} before the square", [x], x.rows, x.width, x.itemsize, save_output=True), label
        )
    if activation == "gelu_new":
        return gelu_new(t, x, label)
    if activation == "gelu_fast":
        return gelu_fast(t, x, label)
    if activation == "gelu_bloom":
        return gelu_bloom(t, x, label)
    return t.record(label, [x], x.rows, x.width, x.itemsize, saved=[x])


def power(t: LayerTape, x: Value, label: str) -> Value:
    """``x ** n``: saves its input; autocast runs it in fp32."""
    if t.numerics.autocast is not None:
        x = t.cast(x, 4)
    work = [Amount(f"{label} gradient factors", x.rows, x.width, x.itemsize, "workspace") for _ in range(2)]
    return t.record(label, [x], x.rows, x.width, x.itemsize, saved=[x], backward_temporaries=work)


def shift(t: LayerTape, x: Value, label: str) -> Value:
    """``x + number``: the gradient is handed on."""
    return t.record(label, [x], x.rows, x.width, x.itemsize, passes_gradient=True)


def tanh(t: LayerTape, x: Value, label: str) -> Value:
    """Saves its result."""
    return t.record(label, [x], x.rows, x.width, x.itemsize, save_output=True)


def gelu_new(t: LayerTape, x: Value, label: str) -> Value:
    """``0.5 * x * (1 + tanh(c * (x + 0.044715 * x ** 3)))``."""
    half = t.scale(x, f"{label}: x / 2")
    cube = t.scale(power(t, x, f"{label}: x ** 3"), f"{label}: scaled cube")
    inner = t.scale(t.add(x, cube, f"{label}: x + cube"), f"{label}: argument of tanh")
    bent = shift(t, tanh(t, inner, f"{label}: tanh"), f"{label}: 1 + tanh")
    out = t.multiply(half, bent, label)
    t.drop(x)
    return out


def gelu_fast(t: LayerTape, x: Value, label: str) -> Value:
    """``0.5 * x * (1 + tanh(x * c * (1 + 0.044715 * x * x)))``."""
    half = t.scale(x, f"{label}: x / 2")
    scaled = t.scale(x, f"{label}: c x")
    square = t.multiply(t.scale(x, f"{label}: scaled x"), x, f"{label}: scaled square")
    inner = t.multiply(scaled, shift(t, square, f"{label}: 1 + square"), f"{label}: argument of tanh")
    bent = shift(t, tanh(t, inner, f"{label}: tanh"), f"{label}: 1 + tanh")
    out = t.multiply(half, bent, label)
    t.drop(x)
    return out


def gelu_bloom(t: LayerTape, x: Value, label: str) -> Value:
    """One autograd function that saves x and computes the chain again in the backward pass."""

    def work(what: str, count: int) -> list[Amount]:
        return [Amount(f"{label} {what}", x.rows, x.width, x.itemsize, "workspace") for _ in range(count)]

    return t.record(
        label, [x], x.rows, x.width, x.itemsize,
        saved=[x], temporaries=work("temporaries", 3), backward_temporaries=work("gradient temporaries", 4),
    )  # fmt: skip
