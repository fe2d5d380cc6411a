"""GGUF files that are not there: laws, worked examples, llama.cpp's own quantizer and published sizes as judges."""

import csv
from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path

import pytest

from vram_advisor.accuracy.ledger import read_ledger
from vram_advisor.accuracy.metrics import quantile
from vram_advisor.accuracy.score import score_ledgers
from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_file import file_bytes, gguf_tensors, header_bytes
from vram_advisor.domain.gguf_file_types import BASE, UNQUANTISED
from vram_advisor.domain.gguf_shapes import file_shapes
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.stored_tensor import StoredTensor
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.sources.catalog_models import find_model, list_models
from vram_advisor.sources.data_files import data_path
from vram_advisor.units.errors import BadInput, NotModelled

LADDERS = (
    "Q2_K_S Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K Q8_0 F16 F32",
    "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_XS IQ4_NL",
    "TQ1_0 TQ2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 BF16",
)
"""File types from the smallest to the largest."""
WHOLE = ("llama-3.1-8b", "llama-2-7b", "llama-3.1-70b", "gemma-2-9b", "mixtral-8x7b", "qwen3-30b-a3b")
"""Models whose rows are whole blocks of every type."""
MODELS = (*WHOLE, "qwen2.5-0.5b", "falcon-7b", "deepseek-v2-lite", "gemma-3n-e2b")
QUANTIZER = Path(__file__).parent / "gguf_file_types.csv"
"""Sums of tensor bytes by model and file type [B]: the types that llama.cpp v0.5.0 chooses (llama_quant_compute_types of
the library that the npm package @node-llama-cpp/linux-x64 3.22.1 ships), without an importance matrix, for the
architecture alone."""


def types(model: str, file_type: str, imatrix: bool | None = None) -> dict[str, str]:
    """Type of each tensor of a file."""
    return {tensor.name: tensor.dtype for tensor in gguf_tensors(find_model(model), file_type, imatrix)}


def layers(found: dict[str, str], stem: str) -> list[str]:
    """Types of one tensor in the order of the layers."""
    return [dtype for name, dtype in found.items() if name.endswith(f".{stem}.weight")]


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("model", WHOLE)
def test_more_bits_make_a_larger_file(model: str, ladder: str) -> None:
    sizes = [file_bytes(find_model(model), file_type) for file_type in ladder.split()]
    assert sizes == sorted(sizes)


def test_a_type_that_falls_back_can_be_larger_than_the_next() -> None:
    # rows of 4,544 are no multiple of 256: Q2_K and Q3_K both become Q4_0, and what is left of Q2_K gets more bits
    ragged = find_model("falcon-7b")
    assert file_bytes(ragged, "Q2_K") > file_bytes(ragged, "Q3_K_S")


def modelled() -> Iterator[ModelSpec]:
    """Models of the catalogue that llama.cpp runs."""
    for entry in list_models():
        try:
            model = find_model(entry.id)
            file_shapes(model)
        except NotModelled:
            continue
        yield model


def test_every_weight_of_the_catalogue_is_in_the_file() -> None:
    models = list(modelled())
    assert len(models) > 200
    for model in models:
        shapes = file_shapes(model)
        assert len({name for name, _ in shapes}) == len(shapes), model.id
        found = sum(prod(shape) for _, shape in shapes)
        assert found == count_parameters(model) - model.tower_parameters + added(model), model.id


def added(model: ModelSpec) -> int:
    """Elements that a file has and the class of transformers has not: buffers, unused keys and values, padding."""
    if model.architecture == "bert":
        return -(1024 * 1024 + 1024)  # the pooler is not in the file
    total = 0
    for name, shape in file_shapes(model):
        _, layer, stem = name.split(".", 2) if name.startswith("blk.") else ("", None, name)
        attention = model.blocks[model.layer_kinds[int(layer)]].attention if layer else None
        unused = attention is not None and attention.kv_shared and stem.startswith(("attn_k", "attn_v"))
        if unused or stem in ("exp_probs_b.bias", "layer_output_scale.weight") or stem.startswith("rope_"):
            total += prod(shape)
        if stem == "per_layer_token_embd.weight" and model.architecture == "gemma3n_text":
            total += (262400 - 262144) * shape[1]
    return total


@pytest.mark.parametrize("file_type", BASE)
@pytest.mark.parametrize("model", MODELS)
def test_rows_are_whole_blocks_and_bytes_add_up(model: str, file_type: str) -> None:
    spec = find_model(model)
    tensors = gguf_tensors(spec, file_type)
    for tensor in tensors:
        row = GGML_TYPES[tensor.dtype]
        assert tensor.shape[-1] % row.block_size == 0
        assert tensor.nbytes * row.block_size == tensor.numel * row.block_bytes
    data = sum(-(-tensor.nbytes // 32) * 32 for tensor in tensors)
    assert file_bytes(spec, file_type) == header_bytes(spec) + data


@pytest.mark.parametrize("file_type", ["Q4_K_M", "F16", "IQ2_XS"])
def test_small_weights_stay_in_32_bits(file_type: str) -> None:
    found = types("nemotron-3-nano-30b-a3b", file_type)
    for stem in ("attn_norm", "ffn_gate_inp", "ssm_conv1d", "ssm_norm"):
        assert set(layers(found, stem)) == {"F32"}
    assert {dtype for name, dtype in found.items() if not name.endswith(".weight")} == {"F32"}


def test_llama_at_q4_k_m() -> None:
    found = types("llama-3.1-8b", "Q4_K_M")
    assert (found["token_embd.weight"], found["output.weight"]) == ("Q4_K", "Q6_K")
    # the first and the last eighth of 32 layers, and every third between them
    six = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    for stem in ("attn_v", "ffn_down"):
        assert [layer for layer, dtype in enumerate(layers(found, stem)) if dtype == "Q6_K"] == six
    assert set(layers(found, "ffn_up")) == {"Q4_K"}


def test_a_tied_embedding_is_stored_as_an_output_layer() -> None:
    assert types("gemma-2-9b", "Q4_K_M")["token_embd.weight"] == "Q6_K"
    assert types("gemma-2-9b", "IQ2_M")["token_embd.weight"] == "Q5_K"


def test_rows_that_are_not_whole_blocks_fall_back() -> None:
    # rows of 896 are no multiple of 256: Q4_K becomes Q5_0, Q6_K becomes Q8_0; rows of 4,864 stay
    found = types("qwen2.5-0.5b", "Q4_K_M")
    assert Counter(layers(found, "ffn_up")) == {"Q5_0": 24}
    assert Counter(layers(found, "ffn_down")) == {"Q4_K": 12, "Q6_K": 12}
    assert found["token_embd.weight"] == "Q8_0"


def test_eight_experts_keep_attention_in_more_bits() -> None:
    found = types("mixtral-8x7b", "Q4_K_M")
    assert set(layers(found, "attn_k") + layers(found, "attn_v")) == {"Q8_0"}
    assert set(layers(found, "attn_output")) == {"Q5_K"}
    assert set(layers(types("qwen3-30b-a3b", "Q4_K_M"), "attn_k")) == {"Q4_K"}


def test_seventy_billion_have_values_in_more_bits() -> None:
    assert set(layers(types("llama-3.1-70b", "Q4_K_S"), "attn_v")) == {"Q5_K"}
    assert set(layers(types("llama-3.1-8b", "Q3_K_S"), "attn_v")) == {"Q3_K"}
    assert set(layers(types("llama-3.1-70b", "Q3_K_S"), "attn_v")) == {"Q5_K"}


def test_an_importance_matrix_changes_three_kinds_of_files() -> None:
    down = {
        (name, given): Counter(layers(types("llama-2-7b", name, given), "ffn_down"))
        for name in ("Q4_0", "IQ4_XS", "IQ3_XXS", "Q4_K_M")
        for given in (False, True)
    }
    assert (down["Q4_0", False], down["Q4_0", True]) == ({"Q4_0": 32}, {"Q4_1": 4, "Q4_0": 28})
    assert (down["IQ4_XS", False], down["IQ4_XS", True]) == ({"Q5_K": 4, "IQ4_XS": 28}, {"IQ4_XS": 32})
    assert (down["IQ3_XXS", False], down["IQ3_XXS", True]) == ({"Q4_K": 4, "Q3_K": 28}, {"IQ3_XXS": 32})
    assert down["Q4_K_M", False] == down["Q4_K_M", True]


def test_without_a_word_a_file_is_made_as_files_of_its_type_are() -> None:
    assert types("llama-2-7b", "IQ4_XS") == types("llama-2-7b", "IQ4_XS", True)
    assert types("llama-2-7b", "Q4_0") == types("llama-2-7b", "Q4_0", False)


def test_experts_published_in_mxfp4_are_copied() -> None:
    for file_type in ("BF16", "Q8_0", "MXFP4_MOE"):
        assert set(layers(types("gpt-oss-20b", file_type), "ffn_up_exps")) == {"MXFP4"}
    assert set(layers(types("gpt-oss-20b", "BF16"), "attn_q")) == {"BF16"}


def test_names_of_file_types_are_read_as_people_write_them() -> None:
    assert types("llama-2-7b", "q4-k-m") == types("llama-2-7b", "Q4_K_M")
    with pytest.raises(BadInput, match=r"q9_k is not a file type of llama\.cpp: use one of F32"):
        gguf_tensors(find_model("llama-2-7b"), "q9_k")


def test_what_llama_cpp_does_not_run_is_refused_by_name() -> None:
    with pytest.raises(NotModelled, match="opt-125m has no GGUF file: llama.cpp does not run the architecture opt"):
        gguf_tensors(find_model("opt-125m"), "Q4_K_M")


def reference() -> list[tuple[str, str, int]]:
    """Model, file type and bytes by llama.cpp's quantizer."""
    with QUANTIZER.open(newline="") as file:
        return [
            (row["model"], file_type, int(nbytes))
            for row in csv.DictReader(file)
            for file_type, nbytes in row.items()
            if file_type != "model" and nbytes
        ]


@pytest.mark.parametrize("model", sorted({model for model, _, _ in reference()}))
def test_the_quantizer_of_llama_cpp_gives_every_file_type_the_same_bytes(model: str) -> None:
    expected = {file_type: nbytes for name, file_type, nbytes in reference() if name == model}
    spec = find_model(model)
    # The quantizer was given the model without its table of rotary frequencies.
    found = {
        name: sum(t.nbytes for t in gguf_tensors(spec, name, False) if t.name != "rope_freqs.weight")
        for name in expected
    }
    assert found == expected
    assert set(BASE) - UNQUANTISED - set(expected) <= {"Q8_0"}


def placed(tensors: tuple[StoredTensor, ...]) -> tuple[int, int]:
    """Bytes of the buffers on a GPU and in system memory with all layers on the GPU [B]."""
    from vram_advisor.memory.llama_cpp.model_buffer import buffer_bytes
    from vram_advisor.memory.llama_cpp.node import HOST

    tables = [t for t in tensors if t.name in ("token_embd.weight", "per_layer_token_embd.weight")]
    tied = not any(tensor.name == "output.weight" for tensor in tensors)
    gpu = [t for t in tensors if t not in tables or (tied and t.name == "token_embd.weight")]
    return sum(buffer_bytes(t, 0) for t in gpu), sum(buffer_bytes(t, HOST) for t in tables)


def test_buffers_that_llama_cpp_plans_are_the_sum_of_the_tensors() -> None:
    ledger = read_ledger(data_path("measurements") / "llamacpp_buffers.csv")
    planned = {
        row["model"]: (row["file_type"], int(row["weights_gpu_bytes"]), int(row["weights_host_bytes"]))
        for row in ledger.rows
    }
    assert len(planned) == 22
    for model, (file_type, gpu, host) in planned.items():
        found = placed(gguf_tensors(find_model(model), file_type, False))
        assert found == (gpu, host), model


def test_published_sizes_are_met() -> None:
    report = score_ledgers([read_ledger(data_path("measurements") / "gguf_sizes.csv")])
    assert len(report.scored) == 25
    assert not report.refused
    signed = {scored.id: abs(scored.signed) for scored in report.scored}
    # two files whose size is known to the byte: what is left is 12 kB of header
    assert max(signed["gguf-01"], signed["gguf-02"]) < 3e-6
    assert quantile(list(signed.values()), 0.5) < 0.0005
    # one row is off by more than its rounding: 4.33 GiB are the tensors without the header
    off = {scored.id: scored.error for scored in report.scored if scored.error > 1e-5}
    assert off == {"gguf-25": pytest.approx(0.0014, abs=0.0001)}
