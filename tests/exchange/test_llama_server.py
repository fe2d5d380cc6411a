"""A command line of llama-server with what is loaded beside the model: read, estimated, written again."""

from pathlib import Path

import pytest
from gguf_files import write_gguf

from vram_advisor import api
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput

ADAPTER = {"general.architecture": "qwen3", "general.type": "adapter", "adapter.type": "lora"}
TOWER = {
    "general.architecture": "clip",
    "clip.has_vision_encoder": True,
    "clip.vision.embedding_length": 64,
    "clip.vision.feed_forward_length": 128,
    "clip.vision.image_size": 56,
    "clip.vision.patch_size": 14,
}


def files(folder: Path) -> tuple[Path, Path]:
    """An adapter for one weight of Qwen3-32B, and a small tower."""
    pair = [
        ("blk.0.attn_q.weight.lora_a", (8, 5120), "F16"),
        ("blk.0.attn_q.weight.lora_b", (8192, 8), "F16"),
    ]
    adapter = write_gguf(folder / "adapter.gguf", ADAPTER, pair)
    tower = write_gguf(folder / "mmproj.gguf", TOWER, [("v.blk.0.attn_q.weight", (64, 64), "F16")])
    return adapter, tower


def test_a_command_is_estimated_like_the_same_options(tmp_path: Path) -> None:
    adapter, tower = files(tmp_path)
    command = (
        f"llama-server -m qwen3-32b -md qwen3-0.6b -ngld 20 -ctkd q8_0 -ctvd q8_0 --draft-max 8 -c 8192 -np 1 "
        f"--mmproj {tower} --lora {adapter} -fa on"
    )
    run = api.read_run("command", data=command.encode())
    assert run.unknown == run.not_modelled == ()
    assert run.model is not None
    read = api.check(run.model, gpu="h100", workload=run.workload, plan=run.plan, quantization="q4_k_m")
    asked = api.check(
        "qwen3-32b",
        gpu="h100",
        method="inference",
        quantization="q4_k_m",
        context_length=8192,
        n_parallel=1,
        model_draft="qwen3-0.6b",
        n_gpu_layers_draft=20,
        cache_type_k_draft="q8_0",
        cache_type_v_draft="q8_0",
        spec_draft_n_max=8,
        mmproj=str(tower),
        lora=(str(adapter),),
        flash_attn="on",
    )
    assert read.options[0].estimate.minimum_mean == asked.options[0].estimate.minimum_mean
    kinds = {c.kind for c in read.options[0].estimate.components}
    assert {"draft", "projector", "adapters"} <= kinds


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ("--lora-scaled one.gguf:0.5,two.gguf:2", ("one.gguf", "two.gguf")),
        ("--lora-scaled one.gguf 0.5", ("one.gguf",)),
        ("--lora one.gguf --lora-scaled two.gguf:-1e-1", ("one.gguf", "two.gguf")),
        ("--lora-scaled two.gguf:.5 --lora one.gguf", ("two.gguf", "one.gguf")),
    ],
)
def test_an_adapter_with_a_scale_takes_the_memory_of_one_without(said: str, files: tuple[str, ...]) -> None:
    """In the order of the command line, which decides the order of their products."""
    run = api.read_run("command", data=f"llama-server -m qwen3-32b {said}".encode())
    assert run.plan.lora == files
    assert run.unknown == run.not_modelled == run.irrelevant == ()


@pytest.mark.parametrize("said", ["one.gguf", "one.gguf:", ":0.5", "one.gguf:half"])
def test_an_adapter_without_its_scale_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match="a file, a colon and a number"):
        api.read_run("command", data=f"llama-server -m qwen3-32b --lora-scaled {said}".encode())


def test_a_draft_model_is_written_as_a_file_or_a_repository() -> None:
    plan = Plan(runtime="llama.cpp", quantization="q4_k_m", quantization_draft="q8_0", lora=("16", "mine.gguf"))
    workload = Workload(context_length=8192)
    for name, flag in (
        ("qwen3-0.6b", "--model-draft qwen3-0.6b-Q8_0.gguf"),
        ("draft.gguf", "--model-draft draft.gguf"),
        ("Qwen/Qwen3-0.6B", "--hf-repo-draft Qwen/Qwen3-0.6B:Q8_0"),
    ):
        drafted = Plan(**{**vars(plan), "model_draft": name})
        text = api.write_run("llama-server", "qwen3-32b", workload, drafted).text
        assert flag in text and "--lora adapter-r16.gguf,mine.gguf" in text


def test_a_modelfile_names_its_adapters() -> None:
    plan = Plan(runtime="ollama", quantization="q4_k_m", lora=("one.gguf", "two.gguf"))
    written = api.write_run("ollama", "qwen3-4b", Workload(), plan).text
    assert "ADAPTER one.gguf\nADAPTER two.gguf\n" in written
    assert api.read_run("Modelfile", data=written.encode()).plan.lora == ("one.gguf", "two.gguf")
