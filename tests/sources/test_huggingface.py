"""config.json from disk: good ones, and everything a stranger can put there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vram_advisor.domain.architectures import ARCHITECTURES, build
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.sources.huggingface import MAX_CONFIG_BYTES, read_config
from vram_advisor.units.errors import BadInput, NotModelled

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 256,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}


def write(folder: Path, config: object) -> Path:
    file = folder / "config.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return file


def test_a_file_and_its_folder_are_the_same_model(tmp_path: Path) -> None:
    file = write(tmp_path, LLAMA)
    model = read_config(file)
    assert model == read_config(tmp_path) == read_config(str(file))
    assert (model.id, model.architecture, model.native_dtype) == (tmp_path.name, "llama", "fp16")
    assert model.source == str(file)


def test_the_cache_of_the_hub_gives_the_name_of_the_repository(tmp_path: Path) -> None:
    folder = tmp_path / "models--owner--name" / "snapshots" / "0123abcd"
    folder.mkdir(parents=True)
    write(folder, LLAMA)
    assert read_config(folder).id == "owner/name"


def test_a_nested_configuration_is_read_as_its_text_model(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "model_type": "gemma3",
            "torch_dtype": "bfloat16",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
                "sliding_window": 1024,
            },
            "vision_config": {"hidden_size": 1152},
        },
    )
    model = read_config(tmp_path)
    # the published file leaves out heads, vocabulary and head_dim: the class knows them
    assert count_parameters(model) == 3_880_263_168
    assert any("tower is not counted" in note for note in model.notes)


def test_a_quantized_checkpoint_says_so(tmp_path: Path) -> None:
    write(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "gptq"}})
    assert any("quantized (gptq)" in note for note in read_config(tmp_path).notes)
    write(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "mxfp4"}})
    assert read_config(tmp_path).native_dtype == "mxfp4"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"model_type": "llama", "hidden', "is not JSON: .* line 1, column"),
        ("model: llama", "is not JSON"),
        ("[1, 2]", "holds a JSON list, expected an object"),
        ("null", "holds a JSON NoneType, expected an object"),
        ('{"hidden_size": NaN}', "NaN is not a number"),
        ('{"hidden_size": -Infinity}', "-Infinity is not a number"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ('{"model_type": "llama", "hidden_size": ' + "9" * 5000 + "}", "is not JSON"),
        ("{}", "model_type is missing"),
        ('{"model_type": "llama"}', "is missing, expected a whole number"),
        (json.dumps({**LLAMA, "num_hidden_layers": -1}), "num_hidden_layers is -1, expected a whole number from 1"),
        (json.dumps({**LLAMA, "vocab_size": 10**12}), "vocab_size is 1000000000000, expected"),
        (json.dumps({**LLAMA, "hidden_size": "big"}), "hidden_size is 'big', expected a whole number"),
        (json.dumps({**LLAMA, "hidden_size": 1e300}), r"hidden_size is 1e\+300, expected a whole number"),
        (json.dumps({**LLAMA, "hidden_size": [64] * 10}), None),
        (json.dumps({**LLAMA, "model_type": "x" * 100_000}), "model_type is 'xxx"),
        (json.dumps({**LLAMA, "layer_types": ["full_attention"] * 3, "model_type": "mistral", "sliding_window": 4}),
         "layer_types is .* a list of 2 texts"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_sentence_that_names_it(tmp_path: Path, content: str, sentence: str | None) -> None:
    file = write(tmp_path, content)
    if sentence is None:
        assert isinstance(read_config(file), ModelSpec)
        return
    with pytest.raises(BadInput, match=sentence) as caught:
        read_config(file)
    message = str(caught.value)
    assert str(file) in message and "\n" not in message and len(message) < 700


def test_what_is_not_a_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not there"):
        read_config(tmp_path / "nothing.json")
    with pytest.raises(BadInput, match=r"has no config\.json"):
        read_config(tmp_path)
    with pytest.raises(BadInput, match="cannot be read|is not there"):
        read_config("a\0b")
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(BadInput, match="is not UTF-8"):
        read_config(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "meta-llama/Llama-2-7b-hf"}')
    with pytest.raises(BadInput, match="adapter, not a model: name its base model, 'meta-llama/Llama-2-7b-hf'"):
        read_config(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    with file.open("wb") as data:
        data.truncate(MAX_CONFIG_BYTES + 1)
    with pytest.raises(BadInput, match=r"has 4,194,305 bytes, expected at most"):
        read_config(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(BadInput, match="is not a file"):
        read_config(tmp_path)


def test_no_code_of_a_repository_runs(tmp_path: Path) -> None:
    (tmp_path / "modeling_own.py").write_text("raise SystemExit('ran')")
    write(tmp_path, {**LLAMA, "model_type": "own_model", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}})
    with pytest.raises(NotModelled, match="'own_model' is not a modelled architecture"):
        read_config(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
FIELDS = sorted(
    set(LLAMA)
    | {"layer_types", "text_config", "head_dim", "num_experts", "rope_parameters", "sliding_window", "hidden_act",
       "quantization_config", "dtype", "moe_intermediate_size", "num_experts_per_tok", "q_lora_rank", "kv_lora_rank",
       "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "linear_num_value_heads", "linear_key_head_dim",
       "hybrid_override_pattern", "shared_intermediate_size", "no_rope_layers", "full_attn_idxs", "vision_config",
       "_name_or_path", "mamba_d_head", "num_kv_shared_layers", "attn_config", "mlp_only_layers"}
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    model_type=st.sampled_from(sorted(ARCHITECTURES)),
    changes=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5),
)
def test_any_configuration_is_a_model_or_one_sentence(model_type: str, changes: dict[str, Any]) -> None:
    try:
        model = build({**LLAMA, "model_type": model_type, **changes})
    except BadInput as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert count_parameters(model) > 0


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_model_or_one_sentence(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.json"
    file.write_bytes(data)
    with pytest.raises(BadInput):
        read_config(file)
