"""Laws of attention by card: scaled_dot_product_attention takes what the card and the build of PyTorch have."""

from typing import Any

import pytest

from vram_advisor.domain.gpu import Device
from vram_advisor.domain.kernels import fused_attention
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.grid import training_grid
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB

GROUPED, ALL_HEADS = "llama-3.1-8b", "llama-2-7b"
HALF: dict[str, Any] = {"quantization": "nf4_double", "weights_dtype": "fp16", "mixed_precision": "fp16"}
BRAIN: dict[str, Any] = {"quantization": "nf4_double", "weights_dtype": "bf16", "mixed_precision": "bf16"}


def card(capability: str | None, system: str = "linux") -> Device:
    return Device("a card", 1, "catalogue", 24 * GIB, 24 * GIB, compute_capability=capability, system=system)


def allocated(model: str, device: Device, padding: Any = "none", length: int = 2048, **choices: Any) -> int:
    workload = Workload(method="qlora", sequence_length=length, micro_batch_size=2, padding=padding)
    found = estimate(find_model(model), workload, Plan(**choices), recipe("transformers-peft"), device)
    return found.estimate.peak.allocated_bytes.mid


@pytest.mark.parametrize(
    ("capability", "system", "dtype", "kernel"),
    [
        ("8.9", "linux", "bf16", "flash"),
        ("8.9", "wsl", "bf16", "flash"),
        ("8.9", "windows", "bf16", "efficient"),
        ("7.5", "linux", "fp16", "efficient"),
        ("7.0", "linux", "bf16", "math"),
        (None, "linux", "bf16", "flash"),
    ],
)
def test_the_best_kernel_of_a_card(capability: str | None, system: str, dtype: str, kernel: str) -> None:
    assert fused_attention(capability, system, dtype) == kernel


@pytest.mark.parametrize(
    ("model", "device", "choices", "kernel"),
    [
        (ALL_HEADS, card("7.5"), HALF, "sdpa_efficient"),
        (GROUPED, card("7.5"), HALF, "sdpa_math"),
        (ALL_HEADS, card("7.5"), BRAIN, "sdpa_math"),
        (GROUPED, card("8.9", "windows"), BRAIN, "sdpa_math"),
        (ALL_HEADS, card("8.9", "windows"), BRAIN, "sdpa_efficient"),
    ],
    ids=["T4, all heads", "T4, grouped heads", "T4, bf16", "Windows, grouped heads", "Windows, all heads"],
)
def test_sdpa_is_the_kernel_that_is_left(model: str, device: Device, choices: dict[str, Any], kernel: str) -> None:
    """Without flash attention grouped heads end in the fallback, which writes all scores out in fp32."""
    newer = card("8.9")
    assert allocated(model, device, **choices) == allocated(model, newer, attn_implementation=kernel, **choices)


def test_a_padding_mask_repeats_grouped_heads_for_the_efficient_kernel() -> None:
    """transformers repeats keys and values where there is a mask: then an old card runs what a new one does."""
    old, new = card("7.5"), card("8.9")
    assert allocated(GROUPED, old, "padded", **HALF) == allocated(GROUPED, new, "padded", **HALF)
    assert allocated(GROUPED, old, "padded", 4096, **HALF) < allocated(GROUPED, old, "none", 4096, **HALF)


def test_a_grid_knows_the_card_too() -> None:
    workload = Workload(method="qlora", sequence_length=2048, micro_batch_size=2)
    grid = training_grid(find_model(GROUPED), workload, Plan(**HALF), recipe("transformers-peft"), 2, 2048, card("7.5"))
    assert int(grid.peak) == allocated(GROUPED, card("7.5"), **HALF)


def test_a_prompt_is_read_by_the_kernel_that_is_left() -> None:
    """transformers before 4.54 repeated keys and values, and so an old card reads a prompt as a new one does."""
    workload = Workload(method="inference", context_length=4096)

    def read(program: str, device: Device, **choices: Any) -> int:
        plan = Plan(weights_dtype="fp16", **choices)
        found = estimate(find_model(GROUPED), workload, plan, recipe(program), device)
        return found.estimate.peak.allocated_bytes.mid

    old, new = card("7.5"), card("8.9")
    assert read("transformers", old) == read("transformers", new, attn_implementation="sdpa_math")
    assert read("transformers", old) > read("transformers", new)
    assert read("transformers-4.46", old) == read("transformers-4.46", new, attn_implementation="sdpa_efficient")
