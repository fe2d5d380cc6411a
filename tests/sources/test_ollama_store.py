"""The store of Ollama on disk."""

import json
from pathlib import Path

import pytest
from local_stores import OllamaStore

from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.sources.models import resolve_model
from vram_advisor.sources.ollama_store import full_name, list_models, store_folders
from vram_advisor.units.errors import BadInput, Missing

OFFICIAL = "registry.ollama.ai/library"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OllamaStore:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    return OllamaStore(tmp_path / "ollama")


def listed(store: OllamaStore) -> dict[str, LocalModel | BrokenModel]:
    return {entry.name: entry for entry in list_models(store.root)}


def test_names_sizes_types_and_options_come_from_manifests_and_blobs(store: OllamaStore, tmp_path: Path) -> None:
    model = store.layer("model", store.gguf(tmp_path))
    params = store.layer("params", store.blob(json.dumps({"num_ctx": 8192, "stop": ["</s>"], "top_p": 0.9}).encode()))
    tower = store.layer("projector", store.blob(b"GGUF tower"))
    store.add(f"{OFFICIAL}/llama3.1/8b", [model, params, store.layer("template", store.blob(b"x"))], "Q4_K_M")
    store.add("registry.ollama.ai/me/mine/v1", [model, tower])
    store.add("hf.co/owner/name-GGUF/Q8_0", [model])
    found = listed(store)
    assert set(found) == {"llama3.1:8b", "me/mine:v1", "hf.co/owner/name-GGUF:Q8_0"}
    entry = found["llama3.1:8b"]
    assert isinstance(entry, LocalModel)
    assert (entry.file_type, entry.architecture, entry.context_length) == ("Q4_K_M", "llama", 4096)
    assert entry.parameters == (("num_ctx", 8192),)
    assert entry.size_bytes == Path(entry.path).stat().st_size
    mine = found["me/mine:v1"]
    assert isinstance(mine, LocalModel) and mine.projector and mine.projector.endswith(tower["digest"][7:])


def test_the_type_is_looked_up_where_the_configuration_does_not_say_it(store: OllamaStore, tmp_path: Path) -> None:
    digest = store.gguf(tmp_path, general__file_type=15)
    store.add(f"{OFFICIAL}/m/latest", [store.layer("model", digest)], file_type="unknown")
    entry = listed(store)["m:latest"]
    assert isinstance(entry, LocalModel) and entry.file_type == "Q4_K_M"


def test_models_that_run_elsewhere_are_not_listed(store: OllamaStore) -> None:
    store.add(f"{OFFICIAL}/gpt-oss/120b-cloud", [])
    store.add(f"{OFFICIAL}/mlx/latest", [store.layer("tensor", store.blob(b"x"))])
    assert listed(store) == {}


def test_broken_entries_are_reported_and_the_others_stay(store: OllamaStore, tmp_path: Path) -> None:
    store.add(f"{OFFICIAL}/good/latest", [store.layer("model", store.gguf(tmp_path))])
    store.add(f"{OFFICIAL}/gone/latest", [store.layer("model", "sha256:" + "0" * 64)])
    store.add(f"{OFFICIAL}/cut/latest", [store.layer("model", store.blob(b"GGUF\x03\0\0\0"))])
    store.add(f"{OFFICIAL}/climbing/latest", [store.layer("model", "sha256:../../../etc/passwd")])
    store.write(f"{OFFICIAL}/text/latest", "not json")
    store.write(f"{OFFICIAL}/list/latest", "[]")
    store.write(f"{OFFICIAL}/odd/latest", '{"layers": [7, null], "config": 3}')
    found = listed(store)
    assert isinstance(found["good:latest"], LocalModel)
    reasons = {name: entry.reason for name, entry in found.items() if isinstance(entry, BrokenModel)}
    assert set(reasons) == {"gone:latest", "cut:latest", "climbing:latest", "text:latest", "list:latest", "odd:latest"}
    assert "which is not there: pull the model again" in reasons["gone:latest"]
    assert "is cut off" in reasons["cut:latest"]
    assert "has no digest like sha256:" in reasons["climbing:latest"] and "has no digest" in reasons["odd:latest"]
    assert not any("\n" in reason for reason in reasons.values())


def test_files_beside_manifests_are_no_models(store: OllamaStore) -> None:
    store.write(f"{OFFICIAL}/m/.DS_Store", "x")
    store.write(f"{OFFICIAL}/stray", "x")
    store.write(f"{OFFICIAL}/m/deep/er", "x")
    assert listed(store) == {}


def test_a_name_is_enough(store: OllamaStore, tmp_path: Path) -> None:
    model = store.layer("model", store.gguf(tmp_path))
    store.add(f"{OFFICIAL}/llama3.1/8b", [model])
    store.add("hf.co/Owner/Name-GGUF/Q8_0", [model])
    for name in (
        "ollama:llama3.1:8b",
        "ollama:LLAMA3.1:8B",
        "ollama:library/llama3.1:8b",
        "ollama:hf.co/owner/name-gguf:q8_0",
    ):
        found = resolve_model(name)
        assert (found.hidden_size, found.num_hidden_layers, found.notes) == (32, 1, ())
        assert len(found.stored_tensors) == 11
    assert resolve_model("ollama:llama3.1:8b").id == "ollama:llama3.1:8b"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("llama3.1", ("registry.ollama.ai", "library", "llama3.1", "latest")),
        ("llama3.1:8b", ("registry.ollama.ai", "library", "llama3.1", "8b")),
        ("me/mine", ("registry.ollama.ai", "me", "mine", "latest")),
        ("hf.co/o/n:Q4_K_M", ("hf.co", "o", "n", "Q4_K_M")),
    ],
)
def test_what_a_name_leaves_out(name: str, full: tuple[str, ...]) -> None:
    assert full_name(name) == full


def test_what_cannot_be_named_is_one_sentence(store: OllamaStore) -> None:
    with pytest.raises(Missing, match=r"'none' is not in the store of Ollama \(.*\): ollama pull none"):
        resolve_model("ollama:none")
    for name in ("", "a/b/c/d", "../../etc/passwd", "a b", "a:b:c", "/etc/passwd", "..:.."):
        with pytest.raises(BadInput, match="is not a name of Ollama"):
            resolve_model(f"ollama:{name}")
    store.add(f"{OFFICIAL}/far/cloud", [])
    store.add(f"{OFFICIAL}/apple/latest", [store.layer("tensor", store.blob(b"x"))])
    with pytest.raises(BadInput, match="far:cloud has no GGUF weights in the store of Ollama: it runs with the cloud"):
        resolve_model("ollama:far:cloud")
    with pytest.raises(BadInput, match="it runs with MLX, which is not modelled"):
        resolve_model("ollama:apple")


def test_stores_are_where_ollama_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    service = Path("/usr/share/ollama/.ollama/models")
    assert store_folders({}, "linux") == (tmp_path / ".ollama" / "models", service)
    assert store_folders({}, "darwin") == (tmp_path / ".ollama" / "models",)
    assert store_folders({"OLLAMA_MODELS": "/data/ollama"}, "linux") == (Path("/data/ollama"),)
    assert list(list_models(tmp_path / "nothing")) == []
