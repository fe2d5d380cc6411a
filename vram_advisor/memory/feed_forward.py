"""Dense feed-forward layers."""

from __future__ import annotations

from vram_advisor.domain.model import Mlp
from vram_advisor.memory.activations import activate
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.fused import fused_down, fused_product
from vram_advisor.memory.linear import linear
from vram_advisor.memory.tape import Value


def mlp(t: LayerTape, x: Value, m: Mlp) -> Value:
    """``down(act(gate(x)) * up(x))`` or ``down(act(up(x)))``."""
    width, n = m.intermediate_size, t.numerics
    if m.gated:
        gate_name, up_name, down_name = m.modules
        if gate_name == up_name:
            both = linear(t, x, gate_name, 2 * width)
            gate, up = t.split(both, gate=width, up=width)
            inner = t.multiply(up, activate(t, gate, m.activation, "activated gate"), "gated product")
            out = linear(t, inner, down_name, x.width)
            t.drop(both)
        else:
            gate = linear(t, x, gate_name, width)
            if n.mlp_kernel == "fused" or (n.lora_kernel == "fused" and all(map(n.targeted, m.modules))):
                return fused_tail(t, x, gate, linear(t, x, up_name, width), down_name)
            active = activate(t, gate, m.activation, "activated gate")
            up = linear(t, x, up_name, width)
            inner = t.multiply(active, up, "gated product")
            out = linear(t, inner, down_name, x.width)
    else:
        up = linear(t, x, m.modules[0], width)
        inner = activate(t, up, m.activation, "activated MLP input")
        out = linear(t, inner, m.modules[-1], x.width)
    t.drop(inner, x)
    return out


def fused_tail(t: LayerTape, x: Value, gate: Value, up: Value, down_name: str) -> Value:
    """Activation, product and output layer by hand-written kernels."""
    n = t.numerics
    if n.lora_kernel == "fused" and n.targeted(down_name) and not n.dora:
        out = fused_down(t, gate, up, down_name, x.width)
    else:
        inner = fused_product(t, gate, up)
        out = linear(t, inner, down_name, x.width)
        t.drop(inner)
    t.drop(x)
    return out
