"""Which share of a card's rates real programs reach, each number with its spread and source.

``sd`` of every entry is that of the logarithm. The values are fitted on the ledgers ``data/measurements/throughput.csv``
and ``training_speed.csv`` by ``benchmarks/fit_speed.py``, which also leaves out one source in turn; an entry that no row
speaks of says that it is a prior.
"""

from dataclasses import dataclass

from vram_advisor.domain.gpu import GpuSpec

_STEPS = "fitted on published fine-tunes, one source left out in turn: benchmarks/fit_speed.py"
_TOKENS = "fitted on published generations, one source left out in turn: benchmarks/fit_speed.py"
_PROMPTS = "fitted on published prompt speeds, one source left out in turn: benchmarks/fit_speed.py"
_PRIOR = "prior: no row of the ledgers speaks of it"


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

    matrix_ampere: Efficiency = Efficiency(0.69, 0.1, "of the dense 16-bit rate", f"A100; {_STEPS}")
    matrix_hopper: Efficiency = Efficiency(0.45, 0.25, "of the dense 16-bit rate", f"H100; {_STEPS}")
    matrix_geforce: Efficiency = Efficiency(
        1.0,
        0.12,
        "of the 16-bit rate with fp32 accumulation",
        f"RTX 3090 to 5090, L40: they clock higher than data sheets say; {_STEPS}",
    )
    matrix_workstation: Efficiency = Efficiency(
        0.5,
        0.3,
        "of the dense 16-bit rate at boost clock",
        f"RTX A5000, RTX 6000 Ada, L40S: their power limits it; {_STEPS}",
    )
    matrix_other: Efficiency = Efficiency(0.4, 0.5, "of the dense 16-bit rate", _PRIOR)
    attention: Efficiency = Efficiency(0.55, 0.25, "of the dense 16-bit rate", f"fused attention; {_STEPS}")
    elementwise: Efficiency = Efficiency(0.82, 0.15, "of the bandwidth", f"norms, activations, adapters; {_STEPS}")
    launch_layer: Efficiency = Efficiency(1.1e-3, 0.35, "s per layer and pass", _STEPS)
    launch_adapter: Efficiency = Efficiency(9e-5, 0.35, "s per adapted module and pass", _STEPS)
    launch_zero3: Efficiency = Efficiency(1.8e-3, 0.4, "s per layer and pass", f"hooks of DeepSpeed ZeRO-3; {_STEPS}")
    launch_step: Efficiency = Efficiency(0.0095, 0.5, "s per optimizer step", _STEPS)
    dequantize_bnb: Efficiency = Efficiency(0.5, 0.3, "of the bandwidth", f"bitsandbytes, torchao; {_STEPS}")
    dequantize_gptq: Efficiency = Efficiency(
        0.15, 0.75, "of the bandwidth", f"GPTQ and AWQ: 0.1 with AutoGPTQ of 2023, 0.3 with kernels of 2024; {_STEPS}"
    )
    dequantize_int8: Efficiency = Efficiency(0.2, 0.5, "of the bandwidth", f"LLM.int8(); {_PRIOR}")
    nvlink: Efficiency = Efficiency(0.36, 0.4, "of the rate in one direction", _STEPS)
    peer: Efficiency = Efficiency(0.35, 0.7, "of the PCIe rate in one direction", f"between cards; {_STEPS}")
    pcie: Efficiency = Efficiency(
        0.69, 0.15, "of the PCIe rate in one direction", "pinned memory, 43.5 of 63 GB/s: receipts of an RTX 5090"
    )
    host: Efficiency = Efficiency(0.6, 0.3, "of the bandwidth of system memory", _PRIOR)
    training: Efficiency = Efficiency(1.0, 0.13, "factor on a step", f"what no term explains; {_STEPS}")

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

    power_training: Efficiency = Efficiency(
        0.88, 0.08, "of the board power", "RTX 4090 at 375 to 400 of 450 W: fsdp_qlora benchmarks_03_2024.md"
    )
    power_prefill: Efficiency = Efficiency(0.85, 0.12, "of the board power", _PRIOR)
    power_decode: Efficiency = Efficiency(0.7, 0.2, "of the board power", _PRIOR)


EFFICIENCIES = Efficiencies()

HALF_RATE = 2.5
"""GeForce cards accumulate in fp32 at half the rate of their matrix units: 16-bit products run at twice the fp32 rate of
the shaders, against four times and more on other cards."""


def matrix_efficiency(gpu: GpuSpec, efficiencies: Efficiencies) -> Efficiency:
    """Which share of the matrix rate a training step reaches on a card."""
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
