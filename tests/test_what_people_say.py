"""What people who fine-tune say about LoRA, held against the answers of the program."""

import pytest

from vram_advisor import check
from vram_advisor.domain.answer import Option

GB = 10**9
MB = 10**6


def option(model: str, gpu: str | None = None, title: str | None = None, **choices: object) -> Option:
    """The option of that title, or the only one."""
    options = check(model, gpu=gpu, **choices).options
    return next(o for o in options if title in (None, o.title))


def test_lora_of_7b_on_an_8_bit_base_takes_10_to_14_gb() -> None:
    found = option("7b", title="Q8", method="lora", sequence_length=4096)
    assert 10 * GB <= found.estimate.peak.process_bytes.mid <= 14 * GB


def test_a_full_fine_tune_of_7b_takes_80_gb_and_more_unless_all_is_bf16() -> None:
    mixed, pure = (option("7b", title=title, method="full") for title in ("mixed precision", "pure bf16"))
    assert mixed.estimate.peak.process_bytes.mid > 80 * GB
    assert pure.estimate.peak.process_bytes.mid < 80 * GB


@pytest.mark.parametrize("model", ["7b", "13b", "8b", "qwen2.5-7b"])
def test_adapters_are_small(model: str) -> None:
    adapter = option(model, method="lora").estimate.adapter
    assert adapter is not None
    assert 0.001 <= adapter.trainable_share <= 0.01
    assert 50 * MB <= adapter.file_bytes <= 500 * MB


@pytest.mark.parametrize(
    ("model", "gpu", "title", "outcome"),
    [
        ("7b", "rtx-5070", "FP16", "no"),
        ("7b", "rtx-5070", "Q8", "fits"),
        ("7b", "rtx-5070", "Q4", "fits"),
        ("13b", "rtx-5080", "FP16", "no"),
        ("13b", "rtx-5080", "Q8", "tight"),
        ("13b", "rtx-5080", "Q4", "fits"),
        ("7b", "rtx-4060", "Q4", "fits"),
        ("llama-3.2-1b", "rtx-4060", "FP16", "fits"),
    ],
)
def test_lora_fits_at_this_precision(model: str, gpu: str, title: str, outcome: str) -> None:
    assert option(model, gpu, title, method="lora").verdict.outcome == outcome
