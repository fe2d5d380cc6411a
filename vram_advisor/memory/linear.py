"""Linear layers of a block: frozen, trained, quantised, with an adapter beside them.

Sources: peft ``tuners/lora/layer.py`` and ``bnb.py``; bitsandbytes ``autograd/_functions.py``.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.dora import dora
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.fused import fused_adapter
from vram_advisor.memory.tape import Value


def linear(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """A linear layer of the block with its adapter, if it has one. x [T x in_features]."""
    n = t.numerics
    if n.targeted(module):
        if n.lora_kernel == "fused" and not n.dora:
            return fused_adapter(t, x, module, out_features)
        return adapted(t, x, module, out_features)
    return frozen(t, x, module, out_features)


def frozen(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """The layer without an adapter: stored in 16 or 32 bit, or quantised."""
    n = t.numerics
    if n.quantization == "none":
        return t.matmul(x, module, x.width, out_features, n.weight, n.train_base)
    if n.quantization == "bnb_8bit":
        return eight_bit(t, x, module, out_features)
    return dequantised(t, x, module, out_features)


def adapted(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """The layer of PEFT: base output plus scaled lora_B(lora_A(dropout(x)))."""
    n = t.numerics
    quantised = n.quantization != "none"
    base = frozen(t, x, module, out_features)
    entered = base.itemsize
    if n.quantization == "bnb_4bit":
        # PEFT clones the output of a 4-bit layer: backward does not work on a manipulated view.
        base = t.record(f"{module} output copy", [base], base.rows, base.width, base.itemsize, passes_gradient=True)
    converts = n.autocast is None or not quantised
    xa = t.cast(x, n.adapter, f"{module} adapter input") if converts else x
    inner = t.dropout(xa, module) if n.lora_dropout > 0 else xa
    if n.dora:
        delta = dora(t, base, inner, module, out_features)
    else:
        a = t.matmul(inner, f"{module} lora_A", x.width, n.lora_r, n.adapter, True)
        b = t.matmul(a, f"{module} lora_B", n.lora_r, out_features, n.adapter, True)
        delta = t.scale(b, f"{module} adapter output")
    if quantised and converts:
        delta = t.cast(delta, entered)
    total = t.add(base, delta, f"{module} output")
    result = t.cast(total, entered, f"{module} output") if not quantised else total
    t.drop(xa)
    return result


def dequantised(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """A frozen linear layer in 4 bit: saves no input, makes 16-bit copies of its weight in both passes."""
    n = t.numerics
    entered = x.itemsize
    numel = x.width * out_features
    x = t.cast(x, 2, f"{module} input in 16 bit")
    copy = Amount(f"{module} dequantised weight", "one", numel, 2, "workspace")
    scales = Amount(f"{module} dequantised scales", "one", 2 * numel // 64, 4, "workspace")
    forward = [copy, scales] if n.dequantize else []
    out = t.record(
        f"{module} output", [x], x.rows, out_features, 2,
        temporaries=forward, backward_temporaries=[copy], gradient_is_view=True,
    )  # fmt: skip
    return t.cast(out, entered, f"{module} output")


def eight_bit(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """LLM.int8() of bitsandbytes: keeps its input as an attribute of the node, dequantises the weight in the backward
    pass."""
    numel = x.width * out_features
    work = [
        Amount(f"{module} input in fp16", x.rows, x.width, 2, "workspace"),
        Amount(f"{module} input in int8", x.rows, x.width, 1, "workspace"),
        Amount(f"{module} int32 product", x.rows, out_features, 4, "workspace"),
    ]
    copy = Amount(f"{module} dequantised weight", "one", numel, x.itemsize, "workspace")
    return t.record(
        f"{module} output", [x], x.rows, out_features, x.itemsize,
        saved=[x], pinned=[x], temporaries=work, backward_temporaries=[copy], gradient_is_view=True, selective="product",
    )  # fmt: skip
