"""``--fit`` against decisions of llama.cpp v0.5.0 itself (``common_fit_params`` on cards with that much free memory)."""

import pytest

from vram_advisor.domain.llama_cpp import LlamaCppOptions
from vram_advisor.memory.llama_cpp.fit import MARGIN, Fitted, Fitter
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB


def decided(
    name: str, free_gib: tuple[float, ...], context: int | None = None, slots: int = 1, unified: bool = False
) -> Fitted:
    """What ``--fit`` decides for a Q4_K_M file."""
    model = find_model(name)
    options = LlamaCppOptions(
        flash_attn="on", num_gpus=len(free_gib), n_ctx=context or 4096, n_parallel=slots, kv_unified=unified
    )
    free = [int(gib * GIB) for gib in free_gib]
    return Fitter(model, file_tensors(model, "Q4_K_M"), options, free, context is not None).run()


@pytest.mark.parametrize(
    ("name", "free", "n_ctx", "layers", "rules"),
    [
        ("llama-3.1-8b", 8, 20992, -1, 0),
        ("llama-3.1-8b", 6, 4608, -1, 0),
        ("llama-3.1-8b", 4, 4096, 18, 0),
        ("llama-3.1-8b", 2, 4096, 4, 0),
        ("llama-3.1-8b", 1.5, 4096, 0, 0),
        ("gpt-oss-20b", 16, 23296, -1, 0),
        ("gpt-oss-20b", 12, 4096, 25, 8),
        ("gemma-3-27b", 24, 88320, -1, 0),
        ("gemma-3-27b", 16, 4096, 57, 0),
        ("deepseek-v2-lite", 8, 4096, 28, 10),
        ("qwen3-30b-a3b", 24, 40960, -1, 0),
        ("qwen3-30b-a3b", 12, 4096, 49, 21),
        ("qwen3-30b-a3b", 4, 4096, 49, 45),
        ("qwen3-30b-a3b", 2, 4096, 13, 12),
    ],
)
def test_one_gpu(name: str, free: float, n_ctx: int, layers: int, rules: int) -> None:
    options = decided(name, (free,)).options
    assert (options.n_ctx, options.n_gpu_layers, len(options.override_tensor)) == (n_ctx, layers, rules)


@pytest.mark.parametrize(
    ("name", "free", "context", "n_ctx", "split", "rules"),
    [
        ("llama-3.1-70b", (24, 24), None, 17920, (40, 41), 0),
        ("llama-3.1-70b", (24, 16), 16384, 16384, (42, 26), 0),
        ("llama-3.1-8b", (4, 4), None, 8960, (17, 16), 0),
        ("qwen3-30b-a3b", (8, 8), None, 4096, (19, 30), 14),
        ("qwen3-30b-a3b", (12, 6), 8192, 8192, (30, 19), 9),
        ("gpt-oss-120b", (24, 24), None, 4096, (10, 27), 19),
    ],
)
def test_two_gpus(
    name: str, free: tuple[float, ...], context: int | None, n_ctx: int, split: tuple[int, ...], rules: int
) -> None:
    options = decided(name, free, context).options
    assert (options.n_ctx, options.tensor_split, len(options.override_tensor)) == (n_ctx, split, rules)


def test_context_and_slots_that_were_asked_for_are_kept() -> None:
    options = decided("qwen3-30b-a3b", (12,), context=16384, slots=4, unified=True).options
    assert (options.n_ctx, options.n_gpu_layers, len(options.override_tensor)) == (16384, 49, 24)


def test_experts_leave_the_last_layers_and_the_output_counts_as_one() -> None:
    rules = decided("qwen3-30b-a3b", (12,)).options.override_tensor
    layers = [int(pattern.split(".")[1].rstrip("\\")) for pattern, _ in rules]
    assert layers == list(range(28, 49))
    assert rules[-1] == (r"blk\.48\.ffn_(up|down|gate_up|gate)_(ch|)exps", "CPU")


def test_a_plan_that_fits_leaves_the_margin_free() -> None:
    fitted = decided("llama-3.1-8b", (6,))
    assert fitted.fits
    assert fitted.used[0] <= 6 * GIB - MARGIN


def test_two_gpus_may_miss_the_margin() -> None:
    assert not decided("llama-3.1-70b", (24, 24)).fits


def test_layers_that_were_chosen_are_not_touched() -> None:
    model = find_model("llama-3.1-8b")
    options = LlamaCppOptions(flash_attn="on", n_ctx=8192, n_gpu_layers=30)
    fitted = Fitter(model, file_tensors(model, "Q4_K_M"), options, [4 * GIB], True, layers_given=True).run()
    assert fitted.options == options
    assert not fitted.fits
