"""Everything that is on this machine, as one list."""

import os
import time
from pathlib import Path

import pytest
from gguf_files import write_gguf
from local_stores import SMALL_LLAMA, TENSORS, OllamaStore, small_gguf

from vram_advisor.sources.local_models import list_local_models

OFFICIAL = "registry.ollama.ai/library"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which every store is inside a folder of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return {
        "OLLAMA_MODELS": str(tmp_path / "ollama"),
        "LMSTUDIO_HOME": str(tmp_path / "lmstudio"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def test_all_stores_are_one_list(places: dict[str, str], tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "ollama")
    store.add(f"{OFFICIAL}/llama/latest", [store.layer("model", store.gguf(tmp_path))])
    small_gguf(tmp_path / "lmstudio" / "models" / "p" / "r" / "m-Q8_0.gguf")
    small_gguf(tmp_path / "cache" / "llama.cpp" / "old-Q8_0.gguf")
    small_gguf(tmp_path / "hub" / "models--o--n" / "snapshots" / "abc" / "new-Q8_0.gguf")
    found = list_local_models(places)
    assert [(model.store, model.name) for model in found.models] == [
        ("ollama", "llama:latest"),
        ("lm-studio", "p/r/m-Q8_0"),
        ("llama.cpp", "old-Q8_0"),
        ("huggingface", "o/n:new-Q8_0"),
    ]
    assert {model.architecture for model in found.models} == {"llama"} and found.broken == ()


def test_one_blob_under_several_names_is_one_model(places: dict[str, str], tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "ollama")
    digest = store.gguf(tmp_path)
    for tag in ("8b", "latest", "8b-instruct"):
        store.add(f"{OFFICIAL}/llama/{tag}", [store.layer("model", digest)])
    blob = tmp_path / "ollama" / "blobs" / digest.replace(":", "-")
    (tmp_path / "lmstudio" / "models" / "p" / "r").mkdir(parents=True)
    os.link(blob, tmp_path / "lmstudio" / "models" / "p" / "r" / "same-Q8_0.gguf")
    (model,) = list_local_models(places).models
    assert (model.name, model.also) == ("llama:8b", ("llama:8b-instruct", "llama:latest", "p/r/same-Q8_0"))


def test_broken_entries_are_beside_the_list(places: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "lmstudio" / "models" / "p" / "r"
    small_gguf(folder / "good-Q8_0.gguf")
    (folder / "empty-Q8_0.gguf").write_bytes(b"")
    (folder / "page-Q8_0.gguf").write_bytes(b"<html>not found</html>")
    os.mkfifo(folder / "pipe-Q8_0.gguf")
    found = list_local_models(places)
    assert [model.name for model in found.models] == ["p/r/good-Q8_0"]
    assert [entry.name for entry in found.broken] == ["p/r/empty-Q8_0", "p/r/page-Q8_0", "p/r/pipe-Q8_0"]
    assert all(entry.reason.isprintable() for entry in found.broken)


def test_links_in_a_circle_end(places: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "lmstudio" / "models" / "p" / "r"
    path = small_gguf(folder / "m-Q8_0.gguf")
    (folder / "again").symlink_to(tmp_path / "lmstudio" / "models")
    found = list_local_models(places)
    assert len(found.models) == 1 and found.models[0].path == str(path)


def test_stores_that_are_not_there_are_empty(places: dict[str, str]) -> None:
    found = list_local_models(places)
    assert (found.models, found.broken) == ((), ())


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_store_that_is_closed_is_said(places: dict[str, str], tmp_path: Path) -> None:
    OllamaStore(tmp_path / "ollama")
    (tmp_path / "ollama").chmod(0)
    try:
        (entry,) = list_local_models(places).broken
    finally:
        (tmp_path / "ollama").chmod(0o755)
    assert entry.reason.endswith("cannot be read: Permission denied")


def test_three_hundred_models_take_less_than_a_second(places: dict[str, str], tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "ollama")
    folder = tmp_path / "lmstudio" / "models" / "p"
    metadata = {**SMALL_LLAMA, "tokenizer.ggml.tokens": ["token"] * 3000, "general.file_type": 15}
    for number in range(150):
        digest = store.blob(f"{number}".encode())
        write_gguf(tmp_path / "ollama" / "blobs" / digest.replace(":", "-"), metadata, TENSORS)
        store.add(f"{OFFICIAL}/m{number}/latest", [store.layer("model", digest)], "Q4_K_M")
        (folder / f"r{number}").mkdir(parents=True)
        write_gguf(folder / f"r{number}" / f"m{number}-Q4_K_M.gguf", metadata, TENSORS)
    start = time.perf_counter()
    found = list_local_models(places)
    taken = time.perf_counter() - start
    assert len(found.models) == 300
    assert {(model.file_type, model.context_length) for model in found.models} == {("Q4_K_M", 4096)}
    assert taken <= 1
