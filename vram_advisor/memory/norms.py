"""Norms as transformers writes them: fp32 inside, the dtype of the input outside.

Source: transformers ``models/llama/modeling_llama.py`` LlamaRMSNorm.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import NormKind
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.fused import fused_norm
from vram_advisor.memory.tape import Value


def norm(t: LayerTape, x: Value, label: str, kind: NormKind, width: int | None = None, groups: int = 1) -> Value:
    """A norm over the last ``width`` elements; ``groups`` of them side by side in x (qk-norm)."""
    n = t.numerics
    width = width if width is not None else x.width
    trained = n.train_base and kind != "none_parametric"
    if kind != "rms":
        return layer_norm(t, x, label, kind, trained, groups)
    if n.norm_kernel == "fused":
        return fused_norm(t, x, label)
    entered = x.itemsize
    x32 = t.cast(x, 4, f"{label} input in fp32")
    square = Amount(f"{label} squares", x.rows, x.width, 4, "workspace")
    wide = [Amount(f"{label} gradient temporaries", x.rows, x.width, 4, "workspace") for _ in range(3)]
    variance = t.record(
        f"{label} variance", [x32], x.rows, groups, 4, saved=[x32], temporaries=[square], backward_temporaries=wide
    )
    rstd = t.record(f"{label} 1/rms", [variance], x.rows, groups, 4, save_output=True)
    y32 = t.record(
        f"{label} normed in fp32", [x32, rstd], x.rows, x.width, 4, saved=[x32, rstd], backward_temporaries=wide[:1]
    )
    y = t.cast(y32, entered, f"{label} normed")
    gradient = [Amount(f"gradient of {label} weight", "one", width, n.norm_weight, "gradient")] if trained else []
    product = (
        [Amount(f"{label} weight product", x.rows, x.width, max(y.itemsize, n.norm_weight), "workspace")]
        if trained
        else []
    )
    out = t.record(
        f"{label} output", [y], x.rows, x.width, max(y.itemsize, n.norm_weight),
        saved=[y] if trained else [], parameters=gradient, backward_temporaries=product,
    )  # fmt: skip
    t.drop(y32)
    return out


def layer_norm(t: LayerTape, x: Value, label: str, kind: NormKind, trained: bool, groups: int) -> Value:
    """``F.layer_norm``, one kernel; autocast runs it in fp32."""
    n = t.numerics
    if n.autocast is not None:
        x = t.cast(x, 4, f"{label} input in fp32")
    statistics = Amount(f"{label} mean and 1/std", x.rows, 2 * groups, 4, "activation")
    count = {"layer": 2, "layer_no_bias": 1}.get(kind, 0)
    gradient = (
        [Amount(f"gradient of {label} weight", "one", count * x.width // groups, n.norm_weight, "gradient")]
        if trained
        else []
    )
    return t.record(f"{label} output", [x], x.rows, x.width, x.itemsize, saved=[x, statistics], parameters=gradient)
