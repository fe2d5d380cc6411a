"""The folders of LM Studio, the cache of llama.cpp and that of Hugging Face."""

import json
import os
from pathlib import Path

import pytest
from gguf_files import write_gguf
from local_stores import SMALL_LLAMA, small_gguf

from vram_advisor.domain.gguf_file_types import file_type_of_name
from vram_advisor.domain.local_model import BrokenModel, LocalModel
from vram_advisor.sources import hf_cache, hub_folders, llama_cpp_cache, lm_studio_store
from vram_advisor.sources.lm_studio_store import find_model, home_folder, models_folder
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, Missing

CONFIG = {"model_type": "llama", "max_position_embeddings": 2048, "torch_dtype": "bfloat16"}


def names(entries: object) -> list[str]:
    return [entry.name for entry in entries]  # type: ignore[attr-defined]


def model(entry: LocalModel | BrokenModel) -> LocalModel:
    assert isinstance(entry, LocalModel)
    return entry


@pytest.fixture
def lm_studio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LMSTUDIO_HOME", str(tmp_path / "lmstudio"))
    return tmp_path / "lmstudio" / "models"


def test_lm_studio_files_are_publisher_repository_and_file(lm_studio: Path) -> None:
    folder = lm_studio / "lmstudio-community" / "Qwen3-8B-GGUF"
    small_gguf(folder / "Qwen3-8B-Q4_K_M.gguf")
    (folder / "mmproj-model-f16.gguf").write_bytes(b"GGUF")
    entry = model(next(lm_studio_store.list_models(lm_studio)))
    assert entry.name == "lmstudio-community/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M"
    assert (entry.file_type, entry.architecture, entry.context_length) == ("Q4_K_M", "llama", 4096)
    assert entry.projector == str(folder / "mmproj-model-f16.gguf")


def test_parts_are_one_model_with_the_bytes_of_all(lm_studio: Path) -> None:
    folder = lm_studio / "p" / "r"
    first = small_gguf(folder / "big-Q8_0-00001-of-00002.gguf")
    (folder / "big-Q8_0-00002-of-00002.gguf").write_bytes(bytes(5000))
    (entry,) = lm_studio_store.list_models(lm_studio)
    assert (entry.name, model(entry).size_bytes) == ("p/r/big-Q8_0", first.stat().st_size + 5000)
    (folder / "big-Q8_0-00002-of-00002.gguf").unlink()
    (entry,) = lm_studio_store.list_models(lm_studio)
    assert isinstance(entry, BrokenModel) and "00002-of-00002.gguf cannot be read" in entry.reason


def test_adapters_towers_and_other_files_are_no_models(lm_studio: Path) -> None:
    folder = lm_studio / "p" / "r"
    folder.mkdir(parents=True)
    write_gguf(folder / "lora-f16.gguf", {"general.architecture": "llama", "general.type": "adapter"})
    write_gguf(folder / "vision-f16.gguf", {"general.architecture": "clip"})
    (folder / "readme.md").write_text("x")
    (folder / "half.gguf.part").write_text("x")
    assert list(lm_studio_store.list_models(lm_studio)) == []


def test_mlx_models_are_folders(lm_studio: Path) -> None:
    folder = lm_studio / "mlx-community" / "Qwen3-4bit"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "quantization": {"bits": 4, "group_size": 64}}))
    (folder / "model.safetensors").write_bytes(bytes(1000))
    entry = model(next(lm_studio_store.list_models(lm_studio)))
    assert (entry.name, entry.format, entry.file_type) == ("mlx-community/Qwen3-4bit", "safetensors", "4bit")
    with pytest.raises(BadInput, match="is an MLX model, which is not modelled"):
        resolve_model("lm-studio:qwen3-4bit")


def test_a_key_is_the_name_or_a_part_of_it(lm_studio: Path) -> None:
    path = small_gguf(lm_studio / "pub" / "Small-GGUF" / "Small-Q8_0.gguf")
    small_gguf(lm_studio / "pub" / "Other-GGUF" / "Other-Q8_0.gguf")
    small_gguf(lm_studio / "pub" / "Other-GGUF" / "Other-F16.gguf")
    for key in ("small", "pub/small", "pub/Small-GGUF/Small-Q8_0.gguf", "small-q8_0"):
        assert find_model(key, lm_studio).path == str(path)
    assert resolve_model("lm-studio:small").hidden_size == 32
    with pytest.raises(BadInput, match="'other' is several models of LM Studio: pub/Other-GGUF/Other-F16, pub/Other"):
        resolve_model("lm-studio:other")
    with pytest.raises(Missing, match="'none' is not among the models of LM Studio"):
        resolve_model("lm-studio:none")
    (lm_studio / "pub" / "Small-GGUF" / "Small-Q8_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadInput, match="is cut off"):
        resolve_model("lm-studio:small")


def test_the_home_of_lm_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_folder({}) == tmp_path / ".lmstudio"
    (tmp_path / ".cache" / "lm-studio").mkdir(parents=True)
    assert home_folder({}) == tmp_path / ".cache" / "lm-studio"
    (tmp_path / ".lmstudio-home-pointer").write_text("/data/lmstudio\n")
    assert home_folder({}) == Path("/data/lmstudio")
    assert home_folder({"LMSTUDIO_HOME": "/elsewhere"}) == Path("/elsewhere")
    for damaged in (b"", b"relative", b"\xff\xfe\x00", b"/a\x00b"):
        (tmp_path / ".lmstudio-home-pointer").write_bytes(damaged)
        assert home_folder({}) == tmp_path / ".cache" / "lm-studio"


def test_the_folder_of_its_models_may_have_been_moved(tmp_path: Path) -> None:
    assert models_folder(tmp_path) == tmp_path / "models"
    for text, folder in (
        ('{"downloadsFolder": "/big/models"}', Path("/big/models")),
        ('{"downloadsFolder": "relative"}', tmp_path / "models"),
        ('{"downloadsFolder": 7}', tmp_path / "models"),
        ("not json", tmp_path / "models"),
    ):
        (tmp_path / "settings.json").write_text(text)
        assert models_folder(tmp_path) == folder


def test_the_cache_of_llama_cpp_is_flat(tmp_path: Path) -> None:
    small_gguf(tmp_path / "ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it-Q4_K_M.gguf")
    (tmp_path / "ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it-Q4_K_M.gguf.json").write_text("{}")
    (tmp_path / "manifest=ggml-org=gemma-3-1b-it-GGUF=latest.json").write_text("{}")
    (entry,) = llama_cpp_cache.list_models(tmp_path)
    assert entry.name == "ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it-Q4_K_M"
    assert list(llama_cpp_cache.list_models(None)) == list(llama_cpp_cache.list_models(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "~/.cache/llama.cpp"),
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/llama.cpp"),
        ("darwin", {}, "~/Library/Caches/llama.cpp"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/llama.cpp"),
        ("win32", {}, None),
        ("linux", {"LLAMA_CACHE": "/mine"}, "/mine"),
    ],
)
def test_the_cache_of_llama_cpp_by_system(platform: str, environment: dict[str, str], folder: str | None) -> None:
    expected = Path(os.path.expanduser(folder)) if folder else None
    assert llama_cpp_cache.cache_folder(environment, platform) == expected


def snapshot(cache: Path, repo: str, commit: str = "abc123", current: bool = True) -> Path:
    repository = cache / f"models--{repo.replace('/', '--')}"
    folder = repository / "snapshots" / commit
    folder.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    if current:
        (repository / "refs" / "main").write_text(commit)
    return folder


def link(folder: Path, name: str, source: Path) -> None:
    blob = folder.parent.parent / "blobs" / f"{name}-blob"
    source.rename(blob)
    (folder / name).symlink_to(os.path.relpath(blob, folder))


def test_the_hub_cache_has_gguf_files_and_repositories_of_safetensors(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    gguf = snapshot(cache, "owner/small-GGUF")
    link(gguf, "small-Q8_0.gguf", small_gguf(tmp_path / "x.gguf"))
    plain = snapshot(cache, "owner/plain")
    (plain / "config.json").write_text(json.dumps(CONFIG))
    (plain / "model-00001-of-00002.safetensors").write_bytes(bytes(700))
    (plain / "model-00002-of-00002.safetensors").write_bytes(bytes(300))
    nested = snapshot(cache, "owner/wrapped")
    (nested / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": CONFIG}))
    (nested / "model.safetensors").write_bytes(bytes(10))
    only_config = snapshot(cache, "owner/config-only")
    (only_config / "config.json").write_text("{}")
    (cache / "datasets--owner--data").mkdir()
    found = {entry.name: model(entry) for entry in hf_cache.list_models(cache)}
    assert set(found) == {"owner/small-GGUF:small-Q8_0", "owner/plain", "owner/wrapped"}
    assert found["owner/small-GGUF:small-Q8_0"].context_length == 4096
    entry = found["owner/plain"]
    assert (entry.size_bytes, entry.file_type, entry.architecture, entry.context_length) == (
        1000, "bfloat16", "llama", 2048,
    )  # fmt: skip
    assert (found["owner/wrapped"].context_length, found["owner/wrapped"].architecture) == (2048, "gemma3")


def test_the_current_commit_counts_else_the_newest(tmp_path: Path) -> None:
    small_gguf(snapshot(tmp_path, "o/n", "old", current=False) / "old-F16.gguf")
    small_gguf(snapshot(tmp_path, "o/n", "new") / "new-F16.gguf")
    small_gguf(snapshot(tmp_path, "o/n", "later", current=False) / "later-F16.gguf")
    assert names(hf_cache.list_models(tmp_path)) == ["o/n:new-F16"]
    (tmp_path / "models--o--n" / "refs" / "main").write_text("../../../etc")
    os.utime(tmp_path / "models--o--n" / "snapshots" / "later", (2e9, 2e9))
    assert names(hf_cache.list_models(tmp_path)) == ["o/n:later-F16"]


def test_a_link_to_what_is_gone_is_broken(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "o/n")
    (folder / "m-F16.gguf").symlink_to("../../blobs/none")
    plain = snapshot(tmp_path, "o/plain")
    (plain / "config.json").write_text("{")
    (plain / "model.safetensors").write_bytes(b"")
    first, second = hf_cache.list_models(tmp_path)
    assert isinstance(first, BrokenModel) and "is not there" in first.reason
    assert isinstance(second, BrokenModel) and "is not JSON" in second.reason


@pytest.mark.parametrize(
    ("environment", "folders"),
    [
        ({}, ("~/.cache/huggingface/hub",)),
        ({"XDG_CACHE_HOME": "/c"}, ("/c/huggingface/hub",)),
        ({"HF_HOME": "/h"}, ("/h/hub",)),
        ({"HF_HOME": "/h", "HF_HUB_CACHE": "/u"}, ("/u",)),
        ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"}, ("/old",)),
        ({"LLAMA_CACHE": "/l", "HF_HOME": "/h"}, ("/l", "/h/hub")),
    ],
)
def test_the_hub_cache_by_environment(environment: dict[str, str], folders: tuple[str, ...]) -> None:
    assert hub_folders.cache_folders(environment) == tuple(Path(os.path.expanduser(folder)) for folder in folders)


@pytest.mark.parametrize(
    ("name", "file_type"),
    [
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M", "Q4_K_M"),
        ("llama-2-7b.Q2_K", "Q2_K"),
        ("Qwen3-30B-A3B-UD-Q4_K_XL", "Q4_K_XL"),
        ("gemma-2-9b-it-IQ2_XXS", "IQ2_XXS"),
        ("gpt-oss-20b-mxfp4", "MXFP4"),
        ("model-f16", "F16"),
        ("model-fp16", "F16"),
        ("Llama-3.2-1B-BF16", "BF16"),
        ("Phi-3-mini-4k-instruct-q4", None),
        ("Q8_0-test-Q5_0", "Q5_0"),
        ("phi3-F160", None),
        ("plain", None),
    ],
)
def test_file_types_in_names(name: str, file_type: str | None) -> None:
    assert file_type_of_name(name) == file_type


def test_a_folder_with_one_model_is_that_model(tmp_path: Path) -> None:
    small_gguf(tmp_path / "m-Q8_0.gguf")
    (tmp_path / "mmproj-m.gguf").write_bytes(b"GGUF")
    assert resolve_model(str(tmp_path)).hidden_size == 32
    small_gguf(tmp_path / "m-F16.gguf")
    with pytest.raises(BadInput, match=r"holds m-F16\.gguf, m-Q8_0\.gguf: give one file"):
        resolve_model(str(tmp_path))


def test_metadata_name_the_type_where_the_name_does_not(tmp_path: Path) -> None:
    metadata = {**SMALL_LLAMA, "general.file_type": 7}
    write_gguf(tmp_path / "m.gguf", metadata, [("token_embd.weight", (64, 32), "Q8_0")])
    (entry,) = llama_cpp_cache.list_models(tmp_path)
    assert model(entry).file_type == "Q8_0"
