"""Hand-written kernels that keep less than the framework: norms, rotary embedding, layers with their adapters.

Sources: unsloth ``kernels/rms_layernorm.py``, ``kernels/rope_embedding.py``, ``kernels/fast_lora.py``; the copies of
fms-acceleration (``fms_acceleration_foak``); liger_kernel ``ops/rms_norm.py``, ``ops/swiglu.py``.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def fused_norm(t: LayerTape, x: Value, label: str) -> Value:
    """Saves its input and one fp32 number per token; writes the gradient over the one that arrives."""
    rows = Amount(f"{label} 1/rms", x.rows, 1, 4, "activation")
    n = t.numerics
    gradient = (
        [Amount(f"gradient of {label} weight", "one", x.width, n.norm_weight, "gradient")] if n.train_base else []
    )
    return t.record(
        f"{label} output", [x], x.rows, x.width, x.itemsize, saved=[x, rows], parameters=gradient, passes_gradient=True
    )


def fused_rotate(t: LayerTape, x: Value, label: str) -> Value:
    """Rotates in place; cosines and sines are all that is saved."""
    return t.record(f"{label} rotated", [x], x.rows, x.width, x.itemsize, view=True)


def fused_adapter(t: LayerTape, x: Value, module: str, out_features: int) -> Value:
    """A frozen linear layer and its adapter as one function.

    Saves its 16-bit input (with dropout one dropped-out copy more) and writes the input's gradient over it.
    """
    n = t.numerics
    numel = x.width * out_features
    x = t.cast(x, 2)
    quantised = n.quantization != "none"
    copy = Amount(f"{module} dequantised weight", "one", numel, 2, "workspace")
    product = Amount(f"{module} adapter output", x.rows, out_features, 2, "workspace")
    saved: list[Value | Amount] = [x]
    work = [copy] if quantised else []
    if n.lora_dropout:
        saved.append(Amount(f"{module} input after dropout", x.rows, x.width, 2, "activation"))
        work += [Amount(f"{module} dropout gradient", x.rows, x.width, b, "workspace") for b in (1, 2, 2)]
    matrices = (("lora_A", x.width), ("lora_B", out_features))
    parameters = [Amount(f"gradient of {module} {m}", "one", n.lora_r * w, n.adapter, "gradient") for m, w in matrices]
    return t.record(
        f"{module} output", [x], x.rows, out_features, 2,
        saved=saved, temporaries=[product, *([copy] if quantised else [])], backward_temporaries=work,
        parameters=parameters, gradient_in_input=True,
    )  # fmt: skip


def fused_product(t: LayerTape, gate: Value, up: Value) -> Value:
    """``act(gate) * up`` in one kernel: saves both and writes their gradients over them (Liger SwiGLU, GeGLU)."""
    return t.record(
        "gated product", [gate, up], gate.rows, gate.width, gate.itemsize, saved=[gate, up], gradient_in_input=True
    )


def fused_down(t: LayerTape, gate: Value, up: Value, module: str, out_features: int) -> Value:
    """Activation, product and output layer with its adapter as one function: the product is not saved (Unsloth)."""
    n = t.numerics
    width = gate.width
    product = Amount("gated product", gate.rows, width, 2, "activation")
    quantised = [Amount(f"{module} dequantised weight", "one", width * out_features, 2, "workspace")]
    work = quantised if n.quantization != "none" else []
    matrices = (("lora_A", width), ("lora_B", out_features))
    parameters = [Amount(f"gradient of {module} {m}", "one", n.lora_r * w, n.adapter, "gradient") for m, w in matrices]
    return t.record(
        f"{module} output", [gate, up], gate.rows, out_features, 2,
        saved=[gate, up], temporaries=[product, *work], backward_temporaries=[product, *work],
        parameters=parameters, gradient_in_input=True,
    )  # fmt: skip
