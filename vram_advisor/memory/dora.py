"""DoRA: a low-rank update whose columns get a trained length (Liu et al. 2024, arXiv 2402.09353, 4.3).

Source: peft ``tuners/lora/dora.py`` DoraLinearLayer, ``tuners/lora/variants.py``; the frame of its forward pass holds
the weight and the update until it returns, and through the update's graph the identity matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def dora(t: LayerTape, base: Value, x: Value, module: str, out_features: int) -> Value:
    """What is added to the base output: (m / |W + dW| - 1) base + (m / |W + dW|) adapter. x [T x in_features]."""
    n = t.numerics
    held, weight = weight_and_update(t, x, module, out_features)
    a = t.matmul(x, f"{module} lora_A", x.width, n.lora_r, n.adapter, True)
    b = t.matmul(a, f"{module} lora_B", n.lora_r, out_features, n.adapter, True)
    if n.lora_dropout:
        base = base_of_dropped(t, x, weight, module, out_features)
    first = lengthened(
        t, base, f"{module} base", [Amount(f"gradient of {module} magnitude", "one", out_features, 4, "gradient")]
    )
    third = t.scale(lengthened(t, b, f"{module} adapter", []), f"{module} adapter output")
    result = t.add(first, third, f"{module} magnitude output")
    t.drop(*held, b, base)
    return result


def lengthened(t: LayerTape, x: Value, label: str, trained: Sequence[Amount]) -> Value:
    """x times the fp32 lengths, whose gradient is summed from a product as wide as x."""
    product = Amount(f"{label} magnitude product", x.rows, x.width, 4, "workspace")
    return t.record(
        f"{label} times magnitude",
        [x],
        x.rows,
        x.width,
        4,
        saved=[x],
        parameters=trained,
        backward_temporaries=[product],
    )


def weight_and_update(t: LayerTape, x: Value, module: str, out_features: int) -> tuple[tuple[Value, ...], Value | None]:
    """The length of W + dW, where dW is what the adapter makes of the identity matrix.

    Returns what the frame holds, and the weight in the dtype of x: None where that is the parameter itself.
    """
    n = t.numerics
    numel, compute = x.width * out_features, n.autocast or n.adapter
    eye = fixed(t, f"{module} identity matrix", x.width * x.width, n.adapter)
    entered = t.cast(eye, compute)
    narrow = fixed(t, f"{module} lora_A of the identity", x.width * n.lora_r, compute, entered)
    update = fixed(t, f"{module} update", numel, compute, narrow)
    t.drop(eye)
    update = t.cast(update, x.itemsize)
    weight = whole_weight(t, module, numel, x.itemsize)
    scaled = t.scale(update, f"{module} scaled update")
    total = fixed(t, f"{module} weight plus update", numel, x.itemsize, scaled)
    fixed(t, f"{module} length", out_features, x.itemsize, total)
    return (entered, narrow, update, *([weight] if weight else [])), weight


def whole_weight(t: LayerTape, module: str, numel: int, itemsize: int) -> Value | None:
    """The base weight in a dtype; None where it is stored in that."""
    n = t.numerics
    if n.quantization == "bnb_4bit":
        scales = Amount(f"{module} dequantised scales", "one", 2 * numel // 64, 4, "workspace")
        copy = t.record(
            f"{module} dequantised weight", [], "one", numel, 2,
            temporaries=[scales], differentiable=False, kind="weight copy",
        )  # fmt: skip
        return t.cast(copy, itemsize)
    if n.quantization == "bnb_8bit":
        # The product with the scales is fp32, and times a number once more.
        return t.cast(
            t.scale(fixed(t, f"{module} weight times scales", numel, 4), f"{module} dequantised weight"), itemsize
        )
    return fixed(t, f"{module} weight copy", numel, itemsize) if n.weight != itemsize else None


def base_of_dropped(t: LayerTape, x: Value, weight: Value | None, module: str, out_features: int) -> Value:
    """Behind dropout the base output is computed again from the dropped input; a copy of the weight is saved."""
    compute = t.numerics.autocast or x.itemsize
    x = t.cast(x, compute)
    saved = [t.cast(weight, compute)] if weight else []
    return t.record(
        f"{module} base of dropped input", [x], x.rows, out_features, compute, saved=saved, gradient_is_view=True
    )


def fixed(t: LayerTape, label: str, numel: int, itemsize: int, *inputs: Value) -> Value:
    """A tensor that does not depend on the tokens and gets no gradient."""
    return t.record(label, inputs, "one", numel, itemsize, differentiable=False, kind="weight copy")
