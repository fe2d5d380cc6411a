"""The model of a GGUF file: the metadata that llama.cpp's converter writes give the dimensions of the catalogue.

``gguf_metadata.json`` has, for one model per architecture of the catalogue, the keys that ``convert_hf_to_gguf.py`` of
llama.cpp v0.5.0 wrote from the model's configuration; names and shapes of the tensors follow from the catalogue.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_files import Typed, write_gguf

from vram_advisor.domain.gguf_shapes import file_shapes
from vram_advisor.domain.model import Block, ModelSpec
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.gguf_model import read_gguf_model
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, NotModelled

METADATA: dict[str, Any] = json.loads((Path(__file__).parent / "gguf_metadata.json").read_text())
WINDOW_LEFT_OUT = frozenset({"mistral-7b-v0.1", "starcoder2-15b"})
"""The converter leaves out the window of models that llama.cpp runs without."""
MERGED = {
    "glm-4.7-flash": "deepseek_v3",
    "granite-4.0-micro": "granite",
    "internlm3-8b": "llama",
    "kimi-k2": "deepseek_v3",
    "mistral-7b-v0.1": "llama",
}
"""Several architectures of transformers are one for llama.cpp."""


def metadata_of(name: str, **changes: object) -> dict[str, object]:
    entry = METADATA[name]
    keys = {f"{entry['architecture']}.{key}": value for key, value in entry["keys"].items()}
    return {"general.architecture": entry["architecture"], **keys, **changes}


def tensors_of(model: ModelSpec, matrices: str = "F16") -> list[tuple[str, tuple[int, ...], str]]:
    return [(name, shape, matrices if len(shape) > 1 else "F32") for name, shape in file_shapes(model)]


def essence(block: Block, windowless: bool = False) -> Block:
    """A kind of layer without what a GGUF file does not say: activation, modules in transformers, rotated width."""
    attention, mlp, experts = block.attention, block.mlp, block.experts
    if attention:
        attention = replace(attention, rotary_dim=0)
        if windowless:
            attention = replace(attention, sliding_window=None)
    if mlp:
        mlp = replace(mlp, activation="silu", modules=())
    if experts:
        experts = replace(experts, activation="silu", correction_bias=False)
    return replace(block, attention=attention, mlp=mlp, experts=experts)


@pytest.mark.parametrize("name", METADATA)
def test_metadata_give_the_dimensions_of_the_catalogue(tmp_path: Path, name: str) -> None:
    model = find_model(name)
    path = write_gguf(tmp_path / f"{name}-F16.gguf", metadata_of(name), tensors_of(model))
    found = read_gguf_model(path)
    windowless = name in WINDOW_LEFT_OUT
    assert [essence(block) for block in found.blocks] == [essence(block, windowless) for block in model.blocks]
    assert found.layer_kinds == model.layer_kinds
    assert (found.hidden_size, found.vocab_size) == (model.hidden_size, model.vocab_size)
    assert found.tie_word_embeddings == model.tie_word_embeddings
    assert found.final_norm == model.final_norm and found.embedding_norm == model.embedding_norm
    assert (found.position_rows, found.head_bias, found.causal) == (model.position_rows, model.head_bias, model.causal)
    assert found.notes == ()
    assert (found.id, found.source) == (f"{name}-F16", str(path))
    assert found.architecture == MERGED.get(name, model.architecture)


def test_every_tensor_keeps_its_type_and_bytes(tmp_path: Path) -> None:
    model = find_model("llama-3.2-1b")
    tensors = [(n, s, "Q6_K" if "token" in n else t) for n, s, t in tensors_of(model, "Q4_K")]
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata_of("llama-3.2-1b"), tensors))
    assert [(t.name, t.shape, t.dtype) for t in found.stored_tensors] == tensors
    assert found.stored_bytes[1] == ("Q6_K", 128_256 * 8 * 210)
    assert sum(nbytes for _, nbytes in found.stored_bytes) == sum(t.nbytes for t in found.stored_tensors)
    assert found.native_dtype == "bf16"


def test_a_path_is_enough(tmp_path: Path) -> None:
    model = find_model("qwen3-0.6b")
    path = write_gguf(tmp_path / "Qwen3-0.6B-BF16.gguf", metadata_of("qwen3-0.6b"), tensors_of(model, "BF16"))
    found = resolve_model(str(path))
    assert (found.blocks, found.native_dtype) == (model.blocks, "bf16")
    assert found == read_gguf_model(path)


def test_a_file_without_the_number_of_tokens_has_the_rows_of_its_embedding(tmp_path: Path) -> None:
    metadata = metadata_of("llama-3.2-1b")
    del metadata["llama.vocab_size"]
    path = write_gguf(tmp_path / "m.gguf", metadata, tensors_of(find_model("llama-3.2-1b")))
    assert read_gguf_model(path).vocab_size == 128_256


def test_layers_that_predict_further_tokens_are_told_apart(tmp_path: Path) -> None:
    model = find_model("qwen3-0.6b")
    extra = [("blk.28.nextn.eh_proj.weight", (1024, 2048), "F16"), ("blk.28.attn_norm.weight", (1024,), "F32")]
    metadata = metadata_of("qwen3-0.6b") | {"qwen3.block_count": 29, "qwen3.nextn_predict_layers": 1}
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata, tensors_of(model) + extra))
    assert found.num_hidden_layers == 28
    assert not any(tensor.name.startswith("blk.28.") for tensor in found.stored_tensors)
    assert found.notes == ("layers that predict further tokens, 4,198,400 bytes, are loaded for drafting only",)


def test_a_file_of_ollamas_own_converter_may_hold_the_tower(tmp_path: Path) -> None:
    model = find_model("gemma-3-4b")
    tower = [("v.blk.0.attn_q.weight", (1152, 1152), "F16"), ("mm.mm_input_projection.weight", (1152, 2560), "F16")]
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata_of("gemma-3-12b") | {
        "gemma3.block_count": 34, "gemma3.embedding_length": 2560, "gemma3.feed_forward_length": 10240,
        "gemma3.attention.head_count": 8, "gemma3.attention.head_count_kv": 4,
    }, tensors_of(model) + tower))  # fmt: skip
    assert found.tower_parameters == 1152 * 1152 + 1152 * 2560
    assert found.notes == ()


def test_numbers_that_the_metadata_do_not_explain_are_a_note(tmp_path: Path) -> None:
    model = find_model("llama-3.2-1b")
    tensors = tensors_of(model)[:-1]
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata_of("llama-3.2-1b"), tensors))
    assert found.notes == ("the file holds 1,219,037,184 numbers, its metadata explain 1,235,814,400",)


def test_types_that_llama_cpp_gave_up_are_a_note(tmp_path: Path) -> None:
    tensors = tensors_of(find_model("llama-3.2-1b"), "Q4_0_4_4")
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata_of("llama-3.2-1b"), tensors))
    assert found.notes == ("new versions of llama.cpp refuse tensors of the type Q4_0_4_4: get another file",)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"general.architecture": "rwkv7"}, BadInput, r"rwkv7\.block_count is missing, expected a whole number"),
        (
            {"general.architecture": "x", "x.block_count": 1},
            NotModelled,
            "the architecture 'x' of this GGUF file is not",
        ),
        ({"general.architecture": ""}, BadInput, r"general\.architecture is missing"),
        ({"general.architecture": Typed("u32", 7)}, BadInput, r"general\.architecture is missing"),
        ({"general.type": "adapter"}, BadInput, "holds a LoRA adapter, not a model: name its base model"),
        (
            {"general.architecture": "\x1b[31mllama"},
            BadInput,
            r"general.architecture is '\\x1b\[31mllama', expected the",
        ),
        ({"general.architecture": "clip"}, BadInput, "holds the vision or audio tower of a model .* not a model"),
        ({"general.type": "imatrix"}, BadInput, "holds an importance matrix, not a model"),
        ({"llama.block_count": 0}, BadInput, r"llama\.block_count is 0, expected a whole number from 1 to 4,096"),
        ({"llama.block_count": Typed("u64", 2**63)}, BadInput, r"llama\.block_count is 9223372036854775808, expected"),
        (
            {"llama.block_count": Typed("i32", -1)},
            BadInput,
            r"llama\.block_count is -1, expected a whole number from 0",
        ),
        ({"llama.block_count": "16"}, BadInput, r"llama\.block_count is 16, expected a whole number"),
        ({"llama.block_count": Typed("f32", float("nan"))}, BadInput, r"llama\.block_count is nan, expected a whole"),
        ({"llama.attention.head_count": 0}, BadInput, "num_attention_heads .* is missing"),
        ({"llama.attention.head_count_kv": 5}, BadInput, "num_key_value_heads is 5, expected a divisor of the 32"),
        ({"llama.embedding_length": Typed("u64", 2**40)}, BadInput, "embedding_length is 1099511627776, expected"),
    ],
)
def test_every_refusal_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], sentence: str
) -> None:
    tensors = [("token_embd.weight", (128_256, 2048), "F16")]
    path = write_gguf(tmp_path / "m.gguf", metadata_of("llama-3.2-1b") | changes, tensors)
    with pytest.raises(error, match=sentence) as caught:
        read_gguf_model(path)
    assert "\n" not in str(caught.value)


def test_a_file_without_tensors_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no weights, only a vocabulary"):
        read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata_of("llama-3.2-1b")))


@pytest.mark.parametrize("pattern", [[True] * 3, [], ["a"] * 26, Typed("f32", [1.0] * 26)])
def test_lists_for_the_layers_have_a_number_for_each(tmp_path: Path, pattern: object) -> None:
    metadata = metadata_of("gemma-3-1b") | {"gemma3.attention.sliding_window_pattern": pattern}
    path = write_gguf(tmp_path / "m.gguf", metadata, tensors_of(find_model("gemma-3-1b")))
    with pytest.raises(BadInput, match=r"gemma3\.attention\.sliding_window_pattern is .*, or a list of 26 of them"):
        read_gguf_model(path)


@pytest.mark.parametrize("pattern", [6, [bool((layer + 1) % 6) for layer in range(26)]])
def test_windows_come_as_a_period_or_a_list(tmp_path: Path, pattern: object) -> None:
    metadata = metadata_of("gemma-3-1b") | {"gemma3.attention.sliding_window_pattern": pattern}
    model = find_model("gemma-3-1b")
    found = read_gguf_model(write_gguf(tmp_path / "m.gguf", metadata, tensors_of(model)))
    assert (found.blocks, found.layer_kinds) == (model.blocks, model.layer_kinds)


def test_latent_attention_before_its_own_cache_is_refused(tmp_path: Path) -> None:
    tensors = [*tensors_of(find_model("deepseek-v2-lite")), ("blk.0.attn_kv_b.weight", (4096, 512), "F16")]
    path = write_gguf(tmp_path / "m.gguf", metadata_of("deepseek-v2-lite"), tensors)
    with pytest.raises(NotModelled, match="was converted before April 2025"):
        read_gguf_model(path)
