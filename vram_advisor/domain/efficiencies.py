"""Which share of a card's rates real programs reach, each number with its spread and source.

``sd`` of every entry is that of the logarithm. Generation and prompts are fitted on the ledger
``data/measurements/throughput.csv`` by ``benchmarks/fit_speed.py``, which also leaves out one source in turn. Training on cards has
no ledger: its entries rest on the few measured steps that each names, on counts, and on a prior that is wide. The prior is
the share of the matrix rate that a whole step reaches: 0.45, and 0.28 to 0.60 in four of five cases, from 2,048 tokens per
micro batch on; 0.15, and 0.07 to 0.30, up to 512 tokens.
"""

from dataclasses import dataclass

from vram_advisor.domain.gpu import GpuSpec

_WHOLE = "no measurement sets it: whole steps of the class then reach the prior of 0.45 in the median"
_TOKENS = "fitted on published generations, one source left out in turn: benchmarks/fit_speed.py"
_PROMPTS = "fitted on published prompt speeds, one source left out in turn: benchmarks/fit_speed.py"
_PROMPT_PRIOR = "prompts under transformers and vLLM; prior: no measurement speaks of it"
_PRIOR = "prior: no measurement speaks of it"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Efficiency:
    """A measured number."""

    value: float
    sd: float
    """Standard deviation of its logarithm."""
    unit: str
    reference: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Efficiencies:
    """All measured numbers of the model of speed."""

    matrix_ampere: Efficiency = Efficiency(0.7, 0.25, "of the dense 16-bit rate", _PROMPT_PRIOR)
    matrix_hopper: Efficiency = Efficiency(0.7, 0.35, "of the dense 16-bit rate", _PROMPT_PRIOR)
    matrix_geforce: Efficiency = Efficiency(1.0, 0.2, "of the 16-bit rate with fp32 accumulation", _PROMPT_PRIOR)
    matrix_workstation: Efficiency = Efficiency(0.7, 0.35, "of the dense 16-bit rate at boost clock", _PROMPT_PRIOR)
    matrix_other: Efficiency = Efficiency(0.4, 0.5, "of the dense 16-bit rate", _PROMPT_PRIOR)
    products_ampere: Efficiency = Efficiency(
        0.8, 0.25, "of the dense 16-bit rate", f"{_WHOLE}; QLoRA of Llama-2-7B on an A100 agrees"
    )
    products_hopper: Efficiency = Efficiency(
        0.9, 0.35, "of the dense 16-bit rate", f"{_WHOLE}, as far as launches let them"
    )
    products_geforce: Efficiency = Efficiency(
        0.87,
        0.2,
        "of the 16-bit rate with fp32 accumulation",
        "halfway between 0.7, with which whole steps reach the prior of 0.45, and 1.07, with which QLoRA on an RTX 5090 takes "
        "the 3.41 s (32B, 2,048 tokens) and 2.66 s (14B, 4,096) that were measured",
    )
    products_workstation: Efficiency = Efficiency(0.9, 0.35, "of the dense 16-bit rate at boost clock", _WHOLE)
    products_other: Efficiency = Efficiency(0.9, 0.5, "of the dense 16-bit rate", _WHOLE)
    attention: Efficiency = Efficiency(
        0.5, 0.35, "of the dense 16-bit rate", f"fused attention, below products; {_PRIOR}"
    )
    elementwise: Efficiency = Efficiency(
        0.9, 0.25, "of the bandwidth", "norms, activations, adapters; prior: as weights are read in generation"
    )
    launch_layer: Efficiency = Efficiency(
        6.7e-4, 0.6, "s per layer and pass", "as a layer of transformers generate(), fitted on published generations"
    )
    launch_adapter: Efficiency = Efficiency(
        9e-5, 0.6, "s per adapted module and pass", "5 to 6 kernels, where a layer of 40 takes 0.67 ms in generation"
    )
    launch_zero3: Efficiency = Efficiency(
        1e-3, 0.8, "s per layer and pass", f"hooks of DeepSpeed ZeRO-3, in Python like the layer itself; {_PRIOR}"
    )
    launch_step: Efficiency = Efficiency(
        0.0085, 0.8, "s per optimizer step", f"some 500 kernels of 17 microseconds; {_PRIOR}"
    )
    dequantize_bnb: Efficiency = Efficiency(
        0.38,
        0.3,
        "of the bandwidth",
        "measured on an RTX 5090: NF4 weights cost a step 10 % at 2,048 tokens, 5 % at 4,096",
    )
    dequantize_gptq: Efficiency = Efficiency(
        0.3, 0.7, "of the bandwidth", f"GPTQ and AWQ: less than NF4, several kernels; {_PRIOR}"
    )
    dequantize_int8: Efficiency = Efficiency(0.2, 0.6, "of the bandwidth", f"LLM.int8(); {_PRIOR}")
    nvlink: Efficiency = Efficiency(0.6, 0.5, "of the rate in one direction", _PRIOR)
    peer: Efficiency = Efficiency(
        0.5, 0.6, "of the PCIe rate in one direction", f"between cards, directly or through the host; {_PRIOR}"
    )
    pcie: Efficiency = Efficiency(
        0.7,
        0.12,
        "of the PCIe rate in one direction",
        "measured with pinned memory: 43.4 of 63 GB/s on PCIe 5.0, 22 to 25 of 31.5 on 4.0, 12 of 15.8 on 3.0",
    )
    host: Efficiency = Efficiency(0.6, 0.3, "of the bandwidth of system memory", _PRIOR)
    training: Efficiency = Efficiency(
        1.0,
        0.26,
        "factor on a step",
        "what no term explains: with the terms, the spread of the prior from 2,048 tokens on",
    )
    training_short: Efficiency = Efficiency(
        1.0, 0.5, "factor on a step", "further spread up to 512 tokens: with the terms, that of the prior there"
    )

    decode_gddr: Efficiency = Efficiency(0.86, 0.08, "of the bandwidth", _TOKENS)
    decode_hbm: Efficiency = Efficiency(0.51, 0.2, "of the bandwidth", f"llama.cpp on A100 and H100; {_TOKENS}")
    decode_vllm: Efficiency = Efficiency(0.75, 0.15, "of the bandwidth", f"vLLM on A100 and H100; {_PRIOR}")
    decode_unified: Efficiency = Efficiency(0.82, 0.12, "of the bandwidth", f"Apple silicon, Strix Halo; {_TOKENS}")
    decode_other: Efficiency = Efficiency(0.59, 0.25, "of the bandwidth", f"Radeon cards; {_TOKENS}")
    decode_blocks: Efficiency = Efficiency(
        0.89, 0.08, "factor for weights that are unpacked on the way", f"k-quants, NF4, AWQ; {_TOKENS}"
    )
    decode_cache: Efficiency = Efficiency(0.5, 0.4, "of the bandwidth", f"keys and values of one sequence; {_TOKENS}")
    decode_layer: Efficiency = Efficiency(
        4e-5, 0.5, "s per layer", f"llama.cpp, vLLM, fused modules: no Python between kernels; {_TOKENS}"
    )
    decode_layer_eager: Efficiency = Efficiency(
        6.7e-4, 0.5, "s per layer", f"transformers generate(): every kernel is started from Python; {_TOKENS}"
    )
    decode_gpu: Efficiency = Efficiency(2.3e-4, 0.6, "s per further GPU", f"layers split over cards; {_TOKENS}")
    decode: Efficiency = Efficiency(1.0, 0.1, "factor on a token", f"what no term explains; {_TOKENS}")

    prefill_geforce: Efficiency = Efficiency(
        0.39, 0.3, "of the 16-bit rate with fp16 accumulation", f"llama.cpp on RTX 3080 to 4090; {_PROMPTS}"
    )
    prefill_workstation: Efficiency = Efficiency(
        0.34, 0.3, "of the dense 16-bit rate", f"llama.cpp on RTX A6000, RTX 6000 Ada, L40S, A100; {_PROMPTS}"
    )
    prefill_hopper: Efficiency = Efficiency(0.2, 0.3, "of the dense 16-bit rate", f"llama.cpp on H100; {_PROMPTS}")
    prefill_metal: Efficiency = Efficiency(0.64, 0.25, "of the fp32 rate", f"llama.cpp on Apple silicon; {_PROMPTS}")
    prefill_radeon: Efficiency = Efficiency(
        0.37, 0.4, "of the dense 16-bit rate", f"llama.cpp by ROCm or Vulkan on Radeon cards; {_PROMPTS}"
    )
    prefill_unified: Efficiency = Efficiency(
        0.125,
        0.6,
        "of the dense 16-bit rate",
        f"llama.cpp by ROCm or Vulkan on Strix Halo: they differ by two to four; {_PROMPTS}",
    )
    prefill_blocks: Efficiency = Efficiency(0.77, 0.12, "factor for weights in blocks", f"k-quants; {_PROMPTS}")
    prefill_experts: Efficiency = Efficiency(0.67, 0.4, "factor for mixtures of experts", _PROMPTS)
    prefill: Efficiency = Efficiency(1.0, 0.15, "factor on a prompt", f"what no term explains; {_PROMPTS}")
    prefill_packed: Efficiency = Efficiency(
        0.42, 0.6, "of the 16-bit rate with fp32 accumulation", f"kernels that unpack GPTQ or AWQ weights; {_PROMPTS}"
    )
    prefill_framework: Efficiency = Efficiency(0.85, 0.35, "factor on a prompt", f"transformers and vLLM; {_PROMPTS}")

    power_training: Efficiency = Efficiency(0.9, 0.06, "of the board power", "prior: 0.85 to 0.95 while training")
    power_prefill: Efficiency = Efficiency(0.85, 0.12, "of the board power", _PRIOR)
    power_decode: Efficiency = Efficiency(0.72, 0.15, "of the board power", "prior: 0.60 to 0.85 while generating")


EFFICIENCIES = Efficiencies()

HALF_RATE = 2.5
"""GeForce cards accumulate in fp32 at half the rate of their matrix units: 16-bit products run at twice the fp32 rate of
the shaders, against four times and more on other cards."""


def product_efficiency(gpu: GpuSpec, efficiencies: Efficiencies) -> Efficiency:
    """Which share of the matrix rate the products of a training step reach on a card, of many tokens."""
    if gpu.vendor != "NVIDIA":
        return efficiencies.products_other
    if "HBM" in (gpu.memory_type or ""):
        return efficiencies.products_hopper if compute_capability(gpu) >= 9.0 else efficiencies.products_ampere
    return efficiencies.products_geforce if accumulates_slowly(gpu) else efficiencies.products_workstation


def matrix_efficiency(gpu: GpuSpec, efficiencies: Efficiencies) -> Efficiency:
    """Which share of the matrix rate a prompt reaches on a card under transformers and vLLM."""
    if gpu.vendor != "NVIDIA":
        return efficiencies.matrix_other
    if "HBM" in (gpu.memory_type or ""):
        return efficiencies.matrix_hopper if compute_capability(gpu) >= 9.0 else efficiencies.matrix_ampere
    return efficiencies.matrix_geforce if accumulates_slowly(gpu) else efficiencies.matrix_workstation


def accumulates_slowly(gpu: GpuSpec) -> bool:
    """Whether products with fp32 accumulation run at half the rate of the matrix units."""
    return bool(gpu.fp16_tflops and gpu.fp32_tflops and gpu.fp16_tflops / gpu.fp32_tflops < HALF_RATE)


def compute_capability(gpu: GpuSpec) -> float:
    """As a number; 0 where the card has none."""
    return float(gpu.compute_capability or 0)
