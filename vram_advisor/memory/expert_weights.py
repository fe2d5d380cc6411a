"""Weights of stacked experts and routers with an adapter folded in: a second weight of the same size.

Source: peft 0.21 ``tuners/lora/layer.py`` ParamWrapper, ``utils/transformers_weight_conversion.py`` (transformers v5 has
stacked experts where v4 had linear layers: their names are turned into parameters, gate and up double the rank).
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.tape import Value


def expert_weight(
    t: LayerTape, label: str, count: int, in_features: int, out_features: int, name: str
) -> tuple[Value, ...]:
    """``W + scaling * B @ A`` of all experts at once, with the copies of A and B where they are of another dtype."""
    n = t.numerics
    rank = n.lora_r * (2 if name == "gate_up_proj" else 1)
    numel = count * in_features * out_features
    sizes = {f"{label} lora_A": count * rank * in_features, f"{label} lora_B": count * rank * out_features}
    copies = [factor(t, name, size) for name, size in sizes.items()] if n.adapter != n.weight else []
    gradients = [
        Amount(f"gradient of {name}", "one", size, n.adapter, "gradient")
        for name, size in sizes.items() if n.adapter == n.weight
    ]  # fmt: skip
    work = [Amount(f"gradient of {label} lora before scaling", "one", max(sizes.values()), n.weight, "workspace")]
    whole = t.record(
        f"{label} weight with adapter", copies, "one", numel, n.weight,
        saved=copies, parameters=gradients, backward_temporaries=work, kind="weight copy",
    )  # fmt: skip
    return whole, *copies


def factor(t: LayerTape, label: str, numel: int) -> Value:
    """One matrix of the adapter in the dtype of the weight."""
    n = t.numerics
    gradient = [Amount(f"gradient of {label}", "one", numel, n.adapter, "gradient")]
    return t.record(
        f"{label} in the dtype of the weight", [], "one", numel, n.weight, parameters=gradient, kind="weight copy"
    )


def router_weight(t: LayerTape, in_features: int, count: int) -> Value:
    """The router's weight; with its adapter it is a copy."""
    n = t.numerics
    numel = in_features * count
    if n.targeted("router"):
        gradient = [Amount("gradient of router lora", "one", n.lora_r * (in_features + count), n.adapter, "gradient")]
        return t.record(
            "router weight with adapter", [], "one", numel, n.weight, parameters=gradient, kind="weight copy"
        )
    gradient = [Amount("gradient of router weight", "one", numel, n.weight, "gradient")] if n.train_base else []
    weight = t.value("router weight", "one", 0, n.weight, False, "weight")
    return t.record("router weight", [weight], "one", numel, n.weight, view=True, slices=True, parameters=gradient)
