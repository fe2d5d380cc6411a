"""File types of llama.cpp as storage formats: what they weigh, and who refuses them."""

from typing import Any

import pytest

from vram_advisor import api
from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_file import gguf_tensors
from vram_advisor.domain.gguf_file_types import BASE, UNQUANTISED
from vram_advisor.domain.quantization import QUANTIZATIONS, quantization
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import AdvisorError


@pytest.mark.parametrize("file_type", [name for name in BASE if name not in UNQUANTISED])
def test_a_matrix_weighs_what_ggml_says(file_type: str) -> None:
    row, base = quantization(file_type.lower()), GGML_TYPES[BASE[file_type]]
    assert row.weight_bytes(4096, 14336) == 4096 * base.row_bytes(14336)
    assert row.kernel == "gguf"


def test_file_types_without_blocks_are_the_plain_formats() -> None:
    assert not {name.lower() for name in UNQUANTISED - {"BF16"}} & set(QUANTIZATIONS)


def test_a_mix_is_heavier_than_its_base_type() -> None:
    tensors = gguf_tensors(find_model("llama-3.1-8b"), "Q4_K_M")
    row = quantization("q4_k_m")
    quantised = [tensor for tensor in tensors if tensor.dtype != "F32"]
    plain = sum(row.weight_bytes(*tensor.shape) for tensor in quantised)
    assert plain < sum(tensor.nbytes for tensor in quantised) < 1.12 * plain


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (
            {"method": "inference", "runtime": "transformers"},
            "GGUF Q4_K_M is a file type of llama.cpp, and transformers unpacks such a file to 16 bits",
        ),
        ({"method": "inference", "runtime": "vllm"}, "GGUF Q4_K_M weights under vLLM are not modelled"),
        ({"method": "lora"}, "Training adapters on GGUF Q4_K_M weights is not modelled: use nf4_double"),
        ({"method": "qlora"}, "Training adapters on GGUF Q4_K_M weights is not modelled: use nf4_double"),
        ({"method": "full"}, "GGUF Q4_K_M weights cannot be trained: use --method qlora"),
    ],
)
def test_programs_that_do_not_compute_on_it_refuse_it_by_name(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(AdvisorError, match=said):
        api.check("llama-3.1-8b", gpu="rtx-4090", quantization="Q4-K-M", **choices)
