"""How fast a prompt is read.

All its tokens pass the weights together, so arithmetic decides, as in the forward pass of training; llama.cpp works in
pieces of ``ubatch`` tokens, which several GPUs pass on like a pipeline.
"""

from __future__ import annotations

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.efficiencies import (
    EFFICIENCIES,
    Efficiencies,
    Efficiency,
    accumulates_slowly,
    compute_capability,
    matrix_efficiency,
)
from vram_advisor.domain.gpu import GpuSpec
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.throughput import Speed, SpeedTerm
from vram_advisor.throughput.decode import Runtime, product, started
from vram_advisor.throughput.offload import over_pcie
from vram_advisor.throughput.roofline import (
    bandwidth,
    half_accumulated_rate,
    matrix_rate,
    overlapped,
    speed,
    term,
    total,
)
from vram_advisor.throughput.step_bytes import FRAMEWORK, FUSED, layer_bytes
from vram_advisor.throughput.stored import Stored
from vram_advisor.throughput.work import attention_flops, work
from vram_advisor.units.grid import Number, ceil_div

UBATCH = 512
"""Tokens that llama.cpp computes together (``--ubatch-size``)."""
CHUNK = 8192
"""Tokens that vLLM computes together on large cards (``--max-num-batched-tokens``)."""


def prefill_speed(
    model: ModelSpec, gpu: GpuSpec, weights: Stored, runtime: Runtime, *,
    prompt: Number, sequences: Number = 1, gpus: int = 1, ubatch: int = UBATCH, host_bytes: float = 0.0,
    efficiencies: Efficiencies = EFFICIENCIES, coefficients: Coefficients = NOMINAL,
) -> Speed | None:  # fmt: skip
    """Seconds until prompts of a length are read, tokens per second over all sequences.

    Args:
        prompt: tokens of one sequence; number or array.
        ubatch: tokens that llama.cpp computes together.
        host_bytes: of ``weights`` that rest in system memory and are copied to the card for each piece [B].

    Returns:
        None where the catalogue lacks the rates of the card.
    """
    bytes_per_s = bandwidth(gpu)
    llama = runtime == "llama.cpp"
    rate = half_accumulated_rate(gpu) if llama else matrix_rate(gpu, "fp16")
    if rate is None or bytes_per_s is None:
        return None
    counts = work(model)
    tokens = prompt * sequences
    split = gpus if runtime == "vllm" else 1
    if llama:
        reached = llama_cpp_efficiency(gpu, weights, efficiencies)
    else:
        reached = efficiencies.prefill_packed if weights.kernel == "gptq" else matrix_efficiency(gpu, efficiencies)
    flops = 2 * tokens * counts.linear + 2 * sequences * counts.head
    attended = attention_flops(counts, prompt) * tokens
    pieces = ceil_div(tokens, ubatch if llama else CHUNK)
    reading = pieces * weights.read(model, tokens / pieces)
    products = [term("products with the weights", "compute", flops / split, "FLOP", rate, reached)]
    read = [term("weights read", "bandwidth", reading / split, "B", bytes_per_s, efficiencies.elementwise)]
    between = [
        term("attention", "compute", attended / split, "FLOP", rate, reached if llama else efficiencies.attention)
    ]
    if not llama:
        traffic = layer_bytes(counts, (FRAMEWORK if runtime == "transformers" else FUSED).forward)
        between.append(
            term(
                "between the products",
                "bandwidth",
                tokens * traffic / split,
                "B",
                bytes_per_s,
                efficiencies.elementwise,
            )
        )
        if weights.kernel.startswith("bnb"):
            unpacked = (weights.dense + weights.experts + 2 * counts.stored) / split
            slow = efficiencies.dequantize_bnb if weights.kernel == "bnb_4bit" else efficiencies.dequantize_int8
            between.append(term("dequantisation", "bandwidth", unpacked, "B", bytes_per_s, slow))
    busy = overlapped([total(products), total(read)]) + total(between)
    if llama and gpus > 1:
        # GPUs hold whole layers: a piece passes them in turn while the next ones follow.
        busy = busy * (pieces + gpus - 1) / (pieces * gpus)
    terms: list[SpeedTerm] = [*products, *read, *between]
    # Modules that are fused for single tokens do not read a prompt: the layers do, kernel by kernel.
    eager = runtime in ("transformers", "fused")
    starting = started(model, weights, "transformers" if eager else runtime, gpus, efficiencies)
    seconds = overlapped([busy, total(starting)]) if eager else busy + total(starting)
    terms += starting
    if host_bytes:
        copied = over_pcie("weights from system memory", pieces * host_bytes, gpu, efficiencies)
        seconds = overlapped([seconds, copied.seconds])
        terms.append(copied)
    residual = efficiencies.prefill if llama else efficiencies.prefill_framework
    return speed(seconds, tokens, terms, residual, coefficients)


def llama_cpp_efficiency(gpu: GpuSpec, weights: Stored, efficiencies: Efficiencies) -> Efficiency:
    """The share of its rate that llama.cpp reaches on a card."""
    if gpu.vendor == "Apple":
        base = efficiencies.prefill_metal
    elif gpu.vendor != "NVIDIA":
        base = efficiencies.prefill_unified if gpu.unified else efficiencies.prefill_radeon
    elif "HBM" in (gpu.memory_type or "") and compute_capability(gpu) >= 9.0:
        base = efficiencies.prefill_hopper
    else:
        base = efficiencies.prefill_geforce if accumulates_slowly(gpu) else efficiencies.prefill_workstation
    if weights.in_blocks:
        base = product(base, efficiencies.prefill_blocks)
    return product(base, efficiencies.prefill_experts) if weights.experts else base
