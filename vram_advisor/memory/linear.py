"""Linear layers of a block: frozen, trained, quantised, with an adapter beside them.

Sources: peft ``tuners/lora/layer.py`` and ``bnb.py``; bitsandbytes ``autograd/_functions.py``.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def linear(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """A linear layer of the block with its adapter, if it has one. x [T x in_features]."""
    n = t.numerics
    quantised = n.quantization != "none"
    base = quantised_linear(t, x, module, out_features) if quantised else t.matmul(
        x, module, x.width, out_features, n.weight, n.train_base
    )  # fmt: skip
    if not n.targeted(module):
        return base
    four_bit = n.quantization == "bnb_4bit"
    entered = base.itemsize
    if four_bit:
        base = t.record(f"{module} output copy", [base], base.rows, base.width, base.itemsize, passes_gradient=True)
    converts = n.autocast is None or not quantised
    xa = t.cast(x, n.adapter, f"{module} adapter input") if converts else x
    inner = t.dropout(xa, module) if n.lora_dropout > 0 else xa
    a = t.matmul(inner, f"{module} lora_A", x.width, n.lora_r, n.adapter, True)
    b = t.matmul(a, f"{module} lora_B", n.lora_r, out_features, n.adapter, True)
    delta = t.scale(b, f"{module} adapter output")
    if quantised and converts:
        delta = t.cast(delta, entered)
    total = t.add(base, delta, f"{module} output")
    result = t.cast(total, entered, f"{module} output") if not quantised else total
    t.drop(xa)
    return result


def quantised_linear(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """A frozen linear layer in 4 or 8 bit: saves no input, makes 16-bit copies of its weight."""
    n = t.numerics
    entered = x.itemsize
    numel = x.width * out_features
    compute = 2
    x = t.cast(x, compute, f"{module} input in 16 bit")
    copy = Amount(f"{module} dequantised weight", "one", numel, compute, "workspace")
    scales = Amount(f"{module} dequantised scales", "one", 2 * numel // 64, 4, "workspace")
    forward = [copy, scales] if n.dequantize else []
    out = t.record(
        f"{module} output", [x], x.rows, out_features, compute,
        temporaries=forward, backward_temporaries=[copy], gradient_is_view=True,
    )  # fmt: skip
    return t.cast(out, entered, f"{module} output")
