"""What is beside a model, a vision or audio tower or an adapter: named, or found by the store that has both."""

from pathlib import Path

import pytest
from gguf_files import write_gguf
from local_stores import OllamaStore, small_gguf

from vram_advisor.sources.models import resolve_model
from vram_advisor.sources.projector import read_projector
from vram_advisor.units.errors import BadInput

SEES: dict[str, object] = {
    "general.architecture": "clip",
    "clip.has_vision_encoder": True,
    "clip.projector_type": "qwen2.5vl_merger",
    "clip.vision.embedding_length": 64,
    "clip.vision.feed_forward_length": 128,
    "clip.vision.image_size": 56,
    "clip.vision.patch_size": 14,
    "clip.vision.spatial_merge_size": 2,
}
HEARS: dict[str, object] = {
    "general.architecture": "clip",
    "clip.has_audio_encoder": True,
    "clip.audio.projector_type": "ultravox",
    "clip.audio.embedding_length": 32,
}


def tower(path: Path, keys: dict[str, object] = SEES) -> Path:
    return write_gguf(path, keys, [("v.blk.0.attn_q.weight", (64, 64), "F16")])


def test_numbers_of_an_eye_and_of_an_ear(tmp_path: Path) -> None:
    eye = read_projector(tower(tmp_path / "mmproj-eye.gguf"))
    assert (eye.kind, eye.nbytes, eye.hidden_size, eye.intermediate_size) == ("qwen2.5vl_merger", 8192, 64, 128)
    assert (eye.image_size, eye.patch_size, eye.merge, eye.hears) == (56, 14, 2, False)
    ear = read_projector(tower(tmp_path / "mmproj-ear.gguf", HEARS))
    assert (ear.kind, ear.hidden_size, ear.image_size, ear.hears) == ("ultravox", 32, None, True)
    both = read_projector(tower(tmp_path / "mmproj-both.gguf", SEES | HEARS))
    assert (both.hidden_size, both.hears) == (64, True)


def test_a_model_of_ollama_has_its_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    store = OllamaStore(tmp_path / "ollama")
    layers = [store.layer("model", store.gguf(tmp_path))]
    store.add("registry.ollama.ai/library/blind/latest", layers)
    layers.append(store.layer("projector", store.blob(tower(tmp_path / "eye.gguf").read_bytes())))
    store.add("registry.ollama.ai/library/seeing/latest", layers)
    assert resolve_model("ollama:blind").projector is None
    seeing = resolve_model("ollama:seeing").projector
    assert seeing is not None and seeing.kind == "qwen2.5vl_merger"


def test_a_model_of_ollama_has_its_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    store = OllamaStore(tmp_path / "ollama")
    layers = [store.layer("model", store.gguf(tmp_path))]
    store.add("registry.ollama.ai/library/plain/latest", layers)
    weight = next(t for t in resolve_model("ollama:plain").stored_tensors if t.name.endswith("attn_q.weight"))
    out, inputs = weight.shape
    pair = [(f"{weight.name}.lora_a", (4, inputs), "F16"), (f"{weight.name}.lora_b", (out, 4), "F16")]
    file = write_gguf(tmp_path / "adapter.gguf", {"general.architecture": "llama", "general.type": "adapter"}, pair)
    layers.append(store.layer("adapter", store.blob(file.read_bytes())))
    store.add("registry.ollama.ai/library/tuned/latest", layers)
    (adapter,) = resolve_model("ollama:tuned").adapters
    assert [p.weight for p in adapter.pairs] == [weight.name] and adapter.r == 4


def test_a_model_of_lm_studio_has_the_tower_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMSTUDIO_HOME", str(tmp_path / "lmstudio"))
    folder = tmp_path / "lmstudio" / "models" / "owner" / "seeing"
    small_gguf(folder / "seeing-Q8_0.gguf")
    tower(folder / "mmproj-seeing-F16.gguf")
    seeing = resolve_model("lm-studio:owner/seeing").projector
    assert seeing is not None and seeing.nbytes == 8192


def test_a_file_that_is_no_tower(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no vision or audio tower"):
        read_projector(small_gguf(tmp_path / "model.gguf"))
