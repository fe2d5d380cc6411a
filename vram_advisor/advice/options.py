"""Which plans are compared, and which of them is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from vram_advisor.domain.answer import Option
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import QUANTIZATIONS, SHORT_NAMES, quantization
from vram_advisor.domain.serving import GGUF_RUNTIMES

RANK = {"fits": 0, "tight": 1}
"""Outcomes that can be recommended, best first."""
VLLM_NAMES = {"q8": "fp8", "q4": "awq_int4"}
"""What 8 and 4 bit mean under vLLM."""
GGUF_NAMES = {
    "fp16": "fp16", "f16": "fp16", "none": "fp16", "q8": "q8_0", "8bit": "q8_0", "q4": "q4_k_m", "4bit": "q4_k_m",
}  # fmt: skip
"""What 16, 8 and 4 bit mean under llama.cpp."""


def lacks_bf16(device: Device | None) -> bool:
    """Whether the card computes in fp16 only: NVIDIA below compute capability 8.0."""
    capability = device.compute_capability if device is not None else None
    return capability is not None and float(capability) < 8.0


def plans(
    model: ModelSpec, workload: Workload, plan: Plan, named: str | None, device: Device | None
) -> list[tuple[str, Plan]]:
    """The options to compare, best first: one where the quantization was named, else what people choose between.

    Raises:
        BadInput: no storage format has that name.
    """
    half: Literal["fp16", "bf16"] = "fp16" if lacks_bf16(device) else "bf16"
    if named is not None:
        exact = named_quantization(named, plan, device)
        return [(quantization(exact).title, replace(plan, quantization=exact))]
    if workload.method == "full":
        mixed = replace(plan, weights_dtype="fp32", mixed_precision=plan.mixed_precision or half)
        pure = replace(plan, weights_dtype="bf16", mixed_precision="none")
        eight = "adamw_bnb_8bit"
        if half == "fp16":
            # fp16 weights alone do not train: small updates vanish.
            return [("mixed precision", mixed), ("mixed, 8-bit AdamW", replace(mixed, optimizer=eight))]
        return [("mixed precision", mixed), ("pure bf16", pure), ("bf16, 8-bit AdamW", replace(pure, optimizer=eight))]
    names = {"FP16": half, "Q8": "int8", "Q4": "nf4_double"}
    if plan.runtime in GGUF_RUNTIMES:
        return gguf_plans(model, plan)
    if plan.runtime == "vllm":
        names |= {"Q8": VLLM_NAMES["q8"], "Q4": VLLM_NAMES["q4"]}
    if workload.method == "qlora":
        names = {"Q4": names["Q4"], "Q8": names["Q8"]}
    published = QUANTIZATIONS.get(model.native_dtype)
    if not workload.trains and published is not None and published.is_quantised:
        names = {published.name.upper(): published.name} | {t: n for t, n in names.items() if n != published.name}
    return [(title, replace(plan, quantization=name)) for title, name in names.items()]


def gguf_plans(model: ModelSpec, plan: Plan) -> list[tuple[str, Plan]]:
    """What people choose between under llama.cpp, or the file as it is where one was read."""
    if model.stored_tensors:
        heaviest = model.stored_bytes[0][0].lower() if model.stored_bytes else "f16"
        near = [heaviest, f"{heaviest}_m", f"{heaviest}_s", "fp16"]
        return [("as stored", replace(plan, quantization=next(name for name in near if name in QUANTIZATIONS)))]
    names = {"F16": "fp16", "Q8_0": "q8_0", "Q4_K_M": "q4_k_m"}
    if model.native_dtype == "mxfp4":
        names = {"MXFP4": "mxfp4"} | names
    return [(title, replace(plan, quantization=name)) for title, name in names.items()]


def named_quantization(name: str, plan: Plan, device: Device | None = None) -> str:
    """The exact name of a storage format; ``fp16``, ``q8`` and ``q4`` mean what runtime and card make of them."""
    lowered = name.lower().replace("-", "_")
    if lowered == "fp16" and lacks_bf16(device):
        return "fp16"
    if plan.runtime == "vllm" and lowered in VLLM_NAMES:
        return VLLM_NAMES[lowered]
    if plan.runtime in GGUF_RUNTIMES and lowered in GGUF_NAMES:
        return GGUF_NAMES[lowered]
    return quantization(SHORT_NAMES.get(lowered, lowered)).name


def recommend(options: Sequence[Option]) -> int | None:
    """The best option that fits, else one that fits tightly, else none. Options are ordered best first."""
    ranked = [(RANK[o.verdict.outcome], i) for i, o in enumerate(options) if o.verdict.outcome in RANK]
    return min(ranked)[1] if ranked else None


def smaller_quantizations(plan: Plan) -> tuple[tuple[str, str, float], ...]:
    """Formats of fewer bits that the runtime serves: name, what it is called, what the result loses."""
    bits = quantization(plan.quantization).bits
    eight, four = ("fp8", "awq_int4") if plan.runtime == "vllm" else ("int8", "nf4_double")
    if plan.runtime in GGUF_RUNTIMES:
        eight, four = "q8_0", "q4_k_m"
    rows = ((eight, 8, "weights in 8 bits", 1.0), (four, 4, "weights in 4 bits", 2.0))
    return tuple((name, title, lost) for name, width, title, lost in rows if width < bits)


def smaller_caches(plan: Plan) -> tuple[tuple[str, str, float], ...]:
    """Types of fewer bits that the runtime keeps its cache in: name, what it is called, what the result loses."""
    if plan.cache_type_k not in (None, "fp16", "bf16", "f16"):
        return ()
    if plan.runtime in GGUF_RUNTIMES:
        return (("q8_0", "KV cache in 8 bits", 0.3), ("q4_0", "KV cache in 4 bits", 1.5))
    if plan.runtime == "vllm":
        return (("fp8", "KV cache in 8 bits", 0.5),)
    return (("int8", "KV cache in 8 bits", 0.5), ("int4", "KV cache in 4 bits", 1.5))
