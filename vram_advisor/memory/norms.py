"""Norms as transformers writes them: which of them run in fp32, what they save.

Sources: transformers ``models/llama/modeling_llama.py`` LlamaRMSNorm, ``models/olmo2`` Olmo2RMSNorm, ``models/gemma``
GemmaRMSNorm, ``models/cohere`` CohereLayerNorm, ``models/nemotron`` NemotronLayerNorm1P, ``models/olmo`` OlmoLayerNorm.
"""

from __future__ import annotations

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.model import WITH_BIAS, NormKind
from vram_advisor.memory.elementary import LayerTape
from vram_advisor.memory.fused import fused_norm
from vram_advisor.memory.tape import Value


def norm(t: LayerTape, x: Value, label: str, kind: NormKind, width: int | None = None, groups: int = 1) -> Value:
    """A norm over the last ``width`` elements; ``groups`` of them side by side in x (qk-norm)."""
    n = t.numerics
    width = width if width is not None else x.width
    if kind == "layer_fp32":
        return layer_norm_fp32(t, x, label, width, groups)
    if not kind.startswith("rms"):
        return layer_norm(t, x, label, kind, width, groups)
    if n.norm_kernel == "fused":
        return fused_norm(t, x, label)
    normed = root_mean_square(t, x, label, groups)
    if kind == "rms":
        out = weighted(t, t.cast(normed, x.itemsize, f"{label} normed"), label, width, n.norm_weight)
        t.drop(normed)
        return out
    wide = weighted(t, normed, label, width, 4)
    if kind == "rms_plus_one":
        return t.cast(wide, x.itemsize, f"{label} output")
    out = t.cast(wide, x.itemsize, f"{label} output")
    t.drop(normed)
    return out


def weightless(t: LayerTape, x: Value, label: str, groups: int) -> Value:
    """Division by the root mean square alone (Llama 4 queries and keys)."""
    return t.cast(root_mean_square(t, x, label, groups), x.itemsize, f"{label} output")


def full_width(label: str, x: Value, count: int) -> list[Amount]:
    """fp32 temporaries as large as the input of a norm."""
    return [Amount(f"{label} gradient temporaries", x.rows, x.width, 4, "workspace") for _ in range(count)]


def root_mean_square(t: LayerTape, x: Value, label: str, groups: int) -> Value:
    """``x * rsqrt(mean(x ** 2))`` in fp32; the input in fp32 is saved for both factors."""
    x32 = t.cast(x, 4, f"{label} input in fp32")
    square = Amount(f"{label} squares", x.rows, x.width, 4, "workspace")
    variance = t.record(
        f"{label} variance", [x32], x.rows, groups, 4,
        saved=[x32], temporaries=[square], backward_temporaries=full_width(label, x, 3),
    )  # fmt: skip
    rstd = t.record(f"{label} 1/rms", [variance], x.rows, groups, 4, save_output=True)
    return t.record(
        f"{label} normed in fp32", [x32, rstd], x.rows, x.width, 4,
        saved=[x32, rstd], backward_temporaries=full_width(label, x, 1),
    )  # fmt: skip


def weighted(t: LayerTape, x: Value, label: str, width: int, itemsize: int) -> Value:
    """``weight * x``: a trained weight saves x and gets the sum of a product as wide as x."""
    n = t.numerics
    wide = max(x.itemsize, itemsize)
    saved: list[Value] = []
    gradient: list[Amount] = []
    product: list[Amount] = []
    if n.train_base:
        saved = [x]
        gradient = [Amount(f"gradient of {label} weight", "one", width, n.norm_weight, "gradient")]
        product = [Amount(f"{label} weight product", x.rows, x.width, wide, "workspace")]
    return t.record(
        f"{label} output", [x], x.rows, x.width, wide, saved=saved, parameters=gradient, backward_temporaries=product
    )


def layer_norm(t: LayerTape, x: Value, label: str, kind: NormKind, width: int, groups: int) -> Value:
    """``F.layer_norm``, one kernel; autocast runs it in fp32, Nemotron switches that off and casts to 16 bit."""
    n = t.numerics
    entered = x.itemsize
    if kind == "none_parametric":
        x = t.cast(x, 4, f"{label} input in fp32")
    elif n.autocast is not None:
        compute = n.autocast if kind == "layer_plus_one" else 4
        x = t.cast(x, compute, f"{label} input in {compute * 8} bit")
    statistics = Amount(f"{label} mean and 1/std", x.rows, 2 * groups, 4, "activation")
    gradient: list[Amount] = []
    if n.train_base and kind != "none_parametric":
        count = width * (2 if kind in WITH_BIAS else 1)
        gradient = [Amount(f"gradient of {label} weight", "one", count, n.norm_weight, "gradient")]
    out = t.record(f"{label} output", [x], x.rows, x.width, x.itemsize, saved=[x, statistics], parameters=gradient)
    return t.cast(out, entered, f"{label} output") if kind == "none_parametric" else out


def layer_norm_fp32(t: LayerTape, x: Value, label: str, width: int, groups: int) -> Value:
    """LayerNorm written out: the distance from the mean is computed twice, and saved for its square and its product."""
    x32 = t.cast(x, 4, f"{label} input in fp32")
    mean = t.record(f"{label} mean", [x32], x.rows, groups, 4)
    first = distance(t, x32, mean, label)
    square = Amount(f"{label} squares", x.rows, x.width, 4, "workspace")
    variance = t.record(
        f"{label} variance", [first], x.rows, groups, 4,
        saved=[first], temporaries=[square], backward_temporaries=full_width(label, x, 3),
    )  # fmt: skip
    t.drop(first)
    second = distance(t, x32, mean, label)
    rstd = t.record(f"{label} 1/std", [variance], x.rows, groups, 4, save_output=True)
    normed = t.record(
        f"{label} normed in fp32", [second, rstd], x.rows, x.width, 4,
        saved=[second, rstd], backward_temporaries=full_width(label, x, 1),
    )  # fmt: skip
    t.drop(x32)
    wide = weighted(t, normed, label, width, 4)
    t.drop(normed)
    return t.cast(wide, x.itemsize, f"{label} output")


def distance(t: LayerTape, x: Value, mean: Value, label: str) -> Value:
    """``x - mean``: hands its gradient to x, a negated copy is summed for the mean."""
    return t.record(
        f"{label} distance from the mean", [x, mean], x.rows, x.width, 4,
        passes_gradient=True, broadcasts=True, backward_temporaries=full_width(label, x, 1),
    )  # fmt: skip
