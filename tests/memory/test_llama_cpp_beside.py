"""What llama.cpp loads beside a model: a draft model, LoRA adapters, a vision tower."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_files import write_gguf

from vram_advisor import api
from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.llama_cpp import LlamaCppOptions, LoraAdapter
from vram_advisor.memory.llama_cpp.memory import llama_cpp_memory
from vram_advisor.memory.llama_cpp.start import file_tensors
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.companions import LINEAR
from vram_advisor.units.errors import BadInput, NotModelled


def asked(model: str, **choices: Any) -> Answer:
    return api.check(model, gpu=choices.pop("gpu", "h100"), method="inference", quantization="q4_k_m", **choices)


def option(model: str, **choices: Any) -> Option:
    (found,) = asked(model, **choices).options
    return found


def of_kind(found: Option, kind: str) -> int:
    return sum(c.nbytes for c in found.estimate.components if c.kind == kind)


def test_a_draft_model_is_counted_beside_its_target() -> None:
    """Qwen3-0.6B: 8,192 cells of 28 layers, 1,024 keys and values, 16 bits, whatever the type of the target's cache."""
    plain = option("qwen3-32b", context_length=8192, cache_type_k="q8_0", cache_type_v="q8_0")
    drafted = option(
        "qwen3-32b", context_length=8192, cache_type_k="q8_0", cache_type_v="q8_0", model_draft="qwen3-0.6b"
    )
    cache = [c.nbytes for c in drafted.estimate.components if c.label == "draft model: keys and values"]
    assert cache == [8192 * 28 * 2 * 1024 * 2]
    assert of_kind(drafted, "kv_cache") == of_kind(plain, "kv_cache")
    parts = sum(c.nbytes for c in drafted.estimate.components)
    assert parts == drafted.estimate.peak.allocated_bytes.mid
    smaller = option("qwen3-32b", context_length=8192, model_draft="qwen3-0.6b", cache_type_k_draft="q8_0")
    assert of_kind(smaller, "draft") < of_kind(drafted, "draft")


def test_a_draft_model_has_layers_and_a_file_type_of_its_own() -> None:
    on_card = option("qwen3-32b", model_draft="qwen3-0.6b")
    heavier = option("qwen3-32b", model_draft="qwen3-0.6b", quantization_draft="q8_0")
    on_host = option("qwen3-32b", model_draft="qwen3-0.6b", n_gpu_layers_draft=0)
    assert of_kind(heavier, "draft") > of_kind(on_card, "draft") > of_kind(on_host, "draft")
    assert on_host.estimate.host_bytes > on_card.estimate.host_bytes


def test_a_draft_model_of_another_family_is_refused() -> None:
    with pytest.raises(BadInput, match="their vocabularies have"):
        asked("qwen3-32b", model_draft="llama-3.2-1b")
    with pytest.raises(NotModelled, match="rolled back"):
        asked("qwen3-next-80b-a3b", model_draft="qwen3-0.6b")
    with pytest.raises(BadInput, match="Ollama has no --model-draft"):
        asked("qwen3-32b", model_draft="qwen3-0.6b", runtime="ollama")
    with pytest.raises(BadInput, match="--model-draft is an option of llama.cpp"):
        asked("qwen3-32b", model_draft="qwen3-0.6b", runtime="transformers")


def test_a_draft_model_shortens_the_context_that_fits() -> None:
    """What a card has left is said with the draft model on it."""
    alone = asked("qwen3-32b", gpu="rtx-4090", context_length=32_768)
    beside = asked("qwen3-32b", gpu="rtx-4090", context_length=32_768, model_draft="qwen3-0.6b")
    (long,) = [said for said in alone.warnings if "Longest context" in said]
    (short,) = [said for said in beside.warnings if "Longest context" in said]
    assert long != short


def test_an_adapter_by_its_rank() -> None:
    """Rank 16 on queries and values of Llama-3.1-8B in F32: 32 layers of 2 x 4,096 and 4,096 + 1,024 times 16."""
    found = option("llama-3.1-8b", lora=("16",), target_modules=("q_proj", "v_proj"))
    assert of_kind(found, "adapters") == 32 * 16 * (4096 + 4096 + 4096 + 1024) * 4
    assert found.estimate.peak.allocated_bytes.mid == sum(c.nbytes for c in found.estimate.components)


def adapter_file(path: Path, weight: str = "blk.3.attn_q.weight", **keys: object) -> Path:
    """One pair of rank 8 for a weight of 4,096 by 4,096, in F16."""
    header = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", **keys}
    tensors = [(f"{weight}.lora_a", (8, 4096), "F16"), (f"{weight}.lora_b", (4096, 8), "F16")]
    return write_gguf(path, header, tensors)


def test_an_adapter_by_its_file(tmp_path: Path) -> None:
    path = str(adapter_file(tmp_path / "adapter.gguf"))
    once, twice = option("llama-3.1-8b", lora=(path,)), option("llama-3.1-8b", lora=(path, path))
    assert of_kind(once, "adapters") == 2 * 8 * 4096 * 2
    assert of_kind(twice, "adapters") == 2 * of_kind(once, "adapters")


def test_a_layer_in_system_memory_has_its_adapter_there(tmp_path: Path) -> None:
    path = str(adapter_file(tmp_path / "adapter.gguf"))
    plain, adapted = option("llama-3.1-8b", n_gpu_layers=5), option("llama-3.1-8b", n_gpu_layers=5, lora=(path,))
    assert of_kind(adapted, "adapters") == 0
    assert adapted.estimate.host_bytes >= plain.estimate.host_bytes + 2 * 8 * 4096 * 2


def test_the_adapter_that_is_named_last_is_added_first() -> None:
    """What llama.cpp v0.5.0 plans for Gemma 3 4B on the host with adapters of rank 4 and 64; the other way it is more."""
    model = find_model("gemma-3-4b")
    small, large = (LoraAdapter(r=r, target_modules=LINEAR, type="F32") for r in (4, 64))
    start = LlamaCppOptions(n_ctx=10_000, n_ubatch=16, kv_unified=True, n_gpu_layers=0, flash_attn="off")

    def compute(*loras: LoraAdapter) -> int:
        options = replace(start, loras=loras)
        return llama_cpp_memory(model, file_tensors(model, "Q8_0"), options, planned=True).gpus[0].compute

    assert compute(small, large) == 1_605_632 < compute(large, small)


@pytest.mark.parametrize(
    ("lora", "said"),
    [("missing.gguf", "is not there"), ("0", "between 1 and"), ("99999999", "between 1 and")],
)
def test_what_is_no_adapter(lora: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        asked("llama-3.1-8b", lora=(lora,))


@pytest.mark.parametrize(("model", "said"), [("qwen3-4b", "do not fit"), ("falcon-7b", "which falcon-7b has not")])
def test_an_adapter_of_another_model(tmp_path: Path, model: str, said: str) -> None:
    path = str(adapter_file(tmp_path / "adapter.gguf"))
    with pytest.raises(BadInput, match=said):
        asked(model, lora=(path,))


def test_files_that_are_no_adapter(tmp_path: Path) -> None:
    model = write_gguf(
        tmp_path / "model.gguf", {"general.architecture": "llama"}, [("token_embd.weight", (8, 32), "F16")]
    )
    with pytest.raises(BadInput, match="holds no LoRA adapter"):
        asked("llama-3.1-8b", lora=(str(model),))
    alone = write_gguf(
        tmp_path / "alone.gguf",
        {"general.architecture": "llama", "general.type": "adapter"},
        [("blk.0.attn_q.weight.lora_a", (8, 4096), "F16")],
    )
    with pytest.raises(BadInput, match="come in pairs"):
        asked("llama-3.1-8b", lora=(str(alone),))
    with pytest.raises(BadInput, match="a GGUF adapter is for one of"):
        asked("llama-3.1-8b", lora=("8",), target_modules=("embed_tokens",))


def tower_file(
    path: Path, kind: str, hidden: int, wide: int, layers: int, side: int, patch: int, gate: bool = False
) -> Path:
    """A vision tower: its layers in F16 and what a projector has beside them left out."""
    keys: dict[str, object] = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": kind,
        "clip.vision.image_size": side,
        "clip.vision.patch_size": patch,
        "clip.vision.embedding_length": hidden,
        "clip.vision.feed_forward_length": wide,
        "clip.vision.block_count": layers,
        "clip.vision.attention.head_count": 16,
    }
    if kind == "pixtral":
        keys["clip.vision.spatial_merge_size"] = 2
    tensors: list[tuple[str, tuple[int, ...], str]] = [("v.patch_embd.weight", (hidden, 3, patch, patch), "F16")]
    for i in range(layers):
        tensors += [(f"v.blk.{i}.attn_{name}.weight", (hidden, hidden), "F16") for name in ("q", "k", "v", "out")]
        tensors += [(f"v.blk.{i}.ffn_up.weight", (wide, hidden), "F16")]
        tensors += [(f"v.blk.{i}.ffn_down.weight", (hidden, wide), "F16")]
        tensors += [(f"v.blk.{i}.ffn_gate.weight", (wide, hidden), "F16")] if gate else []
    return write_gguf(path, keys, tensors)


TOWERS = [
    ("gemma3", 1152, 4304, 896, 14, False, 127_139_840),
    ("idefics3", 768, 3072, 512, 16, False, 22_020_096),
    ("internvl", 1024, 4096, 448, 14, False, 29_388_800),
    ("mlp", 1024, 4096, 336, 14, False, 24_956_544),
    ("qwen2vl_merger", 1280, 5120, 560, 14, False, 280_056_832),
    ("qwen2.5vl_merger", 1280, 3420, 560, 14, True, 739_025_920),
    ("pixtral", 1024, 4096, 1540, 14, True, 67_756_032),
]
"""Kind, dimensions, side of the image and of a patch, gate; the compute buffer of a whole tower of that kind that llama.cpp
v0.5.0 itself plans for a CUDA device (mtmd_get_memory_usage) [B]: SigLIP of Gemma 3, SmolVLM, InternVL, CLIP of LLaVA 1.5,
Qwen2-VL, Qwen2.5-VL, Mistral Small 3.1."""


@pytest.mark.parametrize(("kind", "hidden", "wide", "side", "patch", "gate", "planned"), TOWERS)
def test_the_interval_holds_what_llama_cpp_plans_for_an_image(
    tmp_path: Path, kind: str, hidden: int, wide: int, side: int, patch: int, gate: bool, planned: int
) -> None:
    path = tower_file(tmp_path / "mmproj.gguf", kind, hidden, wide, 2, side, patch, gate)
    found = option("gemma-3-4b", mmproj=str(path))
    (image,) = [c for c in found.estimate.components if c.label == "tower of --mmproj: one image"]
    assert image.bytes.low <= planned <= image.bytes.high
    if kind in ("gemma3", "idefics3"):
        assert image.nbytes == planned


def test_weights_of_a_tower_are_those_of_its_file(tmp_path: Path) -> None:
    path = tower_file(tmp_path / "mmproj.gguf", "gemma3", 1152, 4304, 27, 896, 14)
    plain, seeing = option("gemma-3-4b"), option("gemma-3-4b", mmproj=str(path))
    layers = 27 * (4 * 1152 * 1152 + 2 * 1152 * 4304) * 2
    held = [c.nbytes for c in seeing.estimate.components if c.label == "tower of --mmproj: weights"]
    assert held == [layers + 1152 * 3 * 14 * 14 * 2]
    assert seeing.estimate.peak.allocated_bytes.mid == plain.estimate.peak.allocated_bytes.mid + of_kind(
        seeing, "projector"
    )
    assert seeing.estimate.minimum_sd > plain.estimate.minimum_sd
    assert any("without --mmproj" in said for said in plain.estimate.notes)
    assert not any("without --mmproj" in said for said in seeing.estimate.notes)
    on_host = option("gemma-3-4b", mmproj=str(path), mmproj_offload=False)
    assert of_kind(on_host, "projector") == 0
    assert on_host.estimate.host_bytes > plain.estimate.host_bytes + layers


def test_a_model_is_no_tower(tmp_path: Path) -> None:
    model = write_gguf(
        tmp_path / "model.gguf", {"general.architecture": "llama"}, [("token_embd.weight", (8, 32), "F16")]
    )
    with pytest.raises(BadInput, match="is no vision or audio tower"):
        asked("gemma-3-4b", mmproj=str(model))
