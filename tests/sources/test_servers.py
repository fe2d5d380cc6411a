"""LM Studio and llama-server, played by a server that speaks their documented JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from json_server import serving

from vram_advisor.sources import llama_server_api, lm_studio_api
from vram_advisor.sources.llama_server_api import RunningModel, RunningServer
from vram_advisor.sources.lm_studio_api import LoadedInstance
from vram_advisor.units.errors import BadInput, Missing

QWEN: dict[str, Any] = {
    "type": "llm", "publisher": "qwen", "key": "qwen/qwen3-8b", "display_name": "Qwen3 8B", "architecture": "qwen3",
    "quantization": {"name": "Q4_K_M", "bits_per_weight": 4}, "size_bytes": 5027783488, "params_string": "8B",
    "max_context_length": 40960, "format": "gguf", "capabilities": {"vision": False},
    "loaded_instances": [
        {
            "id": "qwen/qwen3-8b",
            "config": {
                "context_length": 8192, "eval_batch_size": 512, "parallel": 4, "flash_attention": True,
                "offload_kv_cache_to_gpu": True,
            },
        }
    ],
}  # fmt: skip
OLDER: dict[str, Any] = {
    "id": "meta-llama-3.1-8b-instruct", "object": "model", "type": "llm", "publisher": "lmstudio-community",
    "arch": "llama", "compatibility_type": "gguf", "quantization": "Q4_K_M", "state": "loaded",
    "max_context_length": 131072, "loaded_context_length": 4096,
}  # fmt: skip


def test_lm_studio_says_what_is_loaded_and_how() -> None:
    with serving({"/lmstudio-greeting": {"lmstudio": True}, "/api/v1/models": {"models": [QWEN]}}) as (address, asked):
        assert lm_studio_api.greets(address)
        (model,) = lm_studio_api.served(address, {})
        assert asked == ["GET /lmstudio-greeting", "GET /api/v1/models"]
    assert (model.key, model.architecture, model.file_type) == ("qwen/qwen3-8b", "qwen3", "Q4_K_M")
    assert (model.size_bytes, model.max_context_length, model.format) == (5027783488, 40960, "gguf")
    assert model.instances == (LoadedInstance("qwen/qwen3-8b", 8192, 512, 4, True, True),)


def test_older_versions_of_lm_studio_say_less() -> None:
    unloaded = {**OLDER, "id": "other", "state": "not-loaded"}
    with serving({"/api/v0/models": {"data": [OLDER, unloaded]}}) as (address, _):
        first, second = lm_studio_api.served(address, {})
    assert (first.key, first.architecture, first.size_bytes) == ("meta-llama-3.1-8b-instruct", "llama", None)
    assert first.instances == (LoadedInstance("meta-llama-3.1-8b-instruct", 4096),)
    assert second.instances == ()


def test_a_server_may_ask_for_a_token() -> None:
    with serving({"/api/v1/models": {"models": [QWEN]}}, token="secret") as (address, _):
        assert len(lm_studio_api.served(address, {"LM_API_TOKEN": "secret"})) == 1
        with pytest.raises(BadInput, match="/api/v0/models answers with status 404"):
            lm_studio_api.served(address, {})


def test_what_listens_there_may_be_something_else() -> None:
    with serving({"/lmstudio-greeting": {"lmstudio": "yes"}, "/props": {"error": 1}}) as (address, _):
        assert not lm_studio_api.greets(address)
        with pytest.raises(BadInput, match="is not llama-server: it has no slots"):
            llama_server_api.running(address, {})
    with pytest.raises(Missing, match="does not answer"):
        lm_studio_api.greets(address)


def test_the_port_of_lm_studio_is_in_its_settings(tmp_path: Path) -> None:
    environment = {"LMSTUDIO_HOME": str(tmp_path)}
    assert str(lm_studio_api.server_address(environment)) == "http://127.0.0.1:1234"
    (tmp_path / ".internal").mkdir()
    settings = tmp_path / ".internal" / "http-server-config.json"
    for text, port in (('{"port": 4321}', 4321), ('{"port": 99999}', 1234), ('{"port": "x"}', 1234), ("x", 1234)):
        settings.write_text(text)
        assert lm_studio_api.server_address(environment).port == port


def test_llama_server_says_its_model_slots_and_context() -> None:
    props = {
        "default_generation_settings": {"n_ctx": 8192, "params": {}}, "total_slots": 4, "model_path": "/m/x-Q4_K_M.gguf",
        "modalities": {"vision": True, "audio": False}, "build_info": "b11434-abc",
    }  # fmt: skip
    meta = {
        "vocab_type": 2,
        "n_vocab": 151936,
        "n_ctx_train": 40960,
        "n_embd": 4096,
        "n_params": 8190735360,
        "size": 5e9,
    }
    models = {"object": "list", "data": [{"id": "x", "meta": {**meta, "size": 5021784064}}, {"id": "y", "meta": None}]}
    with serving({"/props": props, "/v1/models": models}) as (address, _):
        server = llama_server_api.running(address, {})
        first, second = llama_server_api.served(address, {})
    assert server == RunningServer("/m/x-Q4_K_M.gguf", 8192, 4, "b11434-abc", True)
    assert first == RunningModel("x", 8190735360, 5021784064, 40960, 4096, 151936)
    assert second == RunningModel("y", None, None, None, None, None)


def test_the_address_of_llama_server() -> None:
    assert str(llama_server_api.server_address({})) == "http://127.0.0.1:8080"
    stated = {"LLAMA_ARG_HOST": "0.0.0.0", "LLAMA_ARG_PORT": "9000"}
    assert str(llama_server_api.server_address(stated)) == "http://127.0.0.1:9000"
    for port in ("x", "99999", "-1", "0", "1" * 400):
        with pytest.raises(BadInput, match="LLAMA_ARG_PORT is"):
            llama_server_api.server_address({"LLAMA_ARG_PORT": port})


@pytest.mark.parametrize("odd", [[], {}, {"models": 3, "data": "x"}, {"models": [1, None], "data": [[]]}])
def test_odd_lists_are_empty(odd: object) -> None:
    answer = json.loads(json.dumps(odd))
    with serving({"/api/v1/models": answer, "/api/v0/models": {}, "/v1/models": answer}) as (address, _):
        assert lm_studio_api.served(address, {}) == ()
        if isinstance(answer, dict):
            assert llama_server_api.served(address, {}) == ()
