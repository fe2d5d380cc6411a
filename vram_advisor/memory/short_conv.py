"""The short convolution along the sequence, and the layer of LFM2 that is made of it.

Sources: transformers 5.23 ``models/lfm2/modeling_lfm2.py`` Lfm2ShortConv and causal_conv1d_fn without the kernels of
causal-conv1d; torch ``derivatives.yaml`` convolution (input and weight are saved whatever is trained).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import StateSpace
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.linear import linear
from vram_advisor.memory.tape import Value


def convolution(t: LayerTape, x: Value, s: StateSpace, label: str) -> Value:
    """``F.conv1d`` over every channel alone, cut to the length of the sequence.

    The k - 1 positions that are cut off are not counted: k rows in a whole sequence.
    """
    n = t.numerics
    entered = x.itemsize
    numel = x.width * s.conv_kernel
    parameters: list[Amount] = []
    inputs: list[Value] = []
    compute = n.autocast or n.weight
    x = t.cast(x, n.weight, f"{label} in the dtype of the weights") if n.autocast is None else t.cast(x, compute)
    if n.autocast is not None and n.weight != n.autocast:
        inputs = [t.weight_copy("convolution weight", numel, n.train_base)]
    elif n.train_base:
        parameters = [Amount("gradient of convolution weight", "one", numel, n.weight, "gradient")]
    out = t.record(
        f"{label}, convolved", [x, *inputs], "T", x.width, compute, saved=[x, *inputs], parameters=parameters
    )
    cut = t.record(f"{label}, cut", [out], "T", x.width, compute, view=True, slices=True)
    t.drop(x)
    return t.cast(cut, entered, f"{label}, convolved")


def without_padding(t: LayerTape, x: Value) -> Value:
    """Padded positions are multiplied by zero (``apply_mask_to_padding_states``)."""
    if not t.numerics.padded:
        return x
    return t.record("hidden states without padding", [x], x.rows, x.width, x.itemsize)


def short_conv(t: LayerTape, x: Value, s: StateSpace) -> Value:
    """``out(C * conv(B * x))`` of three parts of one projection."""
    width, whole = x.width, x
    x = without_padding(t, x)
    both = linear(t, x, "in_proj", 3 * width)
    gate, late, value = t.split(both, gate=width, late=width, value=width)
    product = t.multiply(gate, value, "gated input")
    convolved = convolution(t, product, s, "gated input")
    y = t.multiply(late, convolved, "gated output")
    y = t.record("gated output by token", [y], "T", width, y.itemsize, passes_gradient=True)
    out = linear(t, y, "out_proj", width)
    t.drop(y, convolved, product, both, gate, late, value, x, whole)
    return out
