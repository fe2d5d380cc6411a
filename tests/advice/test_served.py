"""Running the result of a fine-tune: what each way needs, and its commands."""

import shlex

import pytest

from vram_advisor import api
from vram_advisor.domain.served import ServedResult
from vram_advisor.report.layout import length
from vram_advisor.report.serving import serving_lines
from vram_advisor.units.errors import BadInput


def result(model: str = "7b", gpu: str = "rtx-5090", **choices: object) -> ServedResult:
    return api.serve_result(api.advise(model, gpu=gpu, **{"method": "lora", **choices}), model)


def test_an_adapter_beside_the_base_adds_its_own_bytes() -> None:
    found = result(lora_r=64)
    beside = next(way for way in found.ways if way.program == "llama.cpp" and not way.merged)
    merged = next(way for way in found.ways if way.program == "llama.cpp" and way.merged)
    adapter = api.check("7b", gpu="rtx-5090", method="lora", lora_r=64).options[0].estimate.adapter
    assert adapter is not None and beside.need_bytes is not None and merged.need_bytes is not None
    assert beside.need_bytes - merged.need_bytes == pytest.approx(2 * adapter.trainable_parameters, abs=1)
    assert found.adapter_bytes == adapter.file_bytes


def test_a_merged_model_needs_what_check_says() -> None:
    found = result()
    way = next(way for way in found.ways if way.program == "llama.cpp" and way.merged)
    again = api.check("7b", gpu="rtx-5090", runtime="llama.cpp", quantization="q4_k_m")
    assert way.need_bytes == int(again.options[0].estimate.minimum_mean)
    assert way.verdict is not None and way.verdict.outcome == again.options[0].verdict.outcome


def test_every_program_has_its_commands() -> None:
    found = result(lora_r=20)
    assert {way.program for way in found.ways} == {"llama.cpp", "ollama", "lm-studio", "vllm", "transformers"}
    assert all(way.commands for way in found.ways)
    said = [command for way in found.ways for command in way.commands]
    assert any("--max-lora-rank 32 " in command for command in said)
    assert any("meta-llama/Llama-2-7b-hf" in command for command in said)
    for command in said:
        assert shlex.split(command)
        assert command.count("'") % 2 == 0


@pytest.mark.parametrize("choices", [{"method": "dora"}, {"modules_to_save": ("lm_head",)}], ids=str)
def test_what_programs_cannot_load_has_to_be_merged(choices: dict[str, object]) -> None:
    found = result(**choices)
    assert {way.program for way in found.ways if not way.merged} == {"transformers"}
    assert any("merge" in note for note in found.notes)


def test_a_full_fine_tune_has_no_adapter() -> None:
    found = result("tinyllama-1.1b", method="full")
    assert found.adapter_bytes is None and all(way.merged for way in found.ways)


def test_rounded_weights_are_not_those_it_is_merged_into() -> None:
    assert any("rounded" in note for note in result(method="qlora").notes)
    assert not any("rounded" in note for note in result().notes)


def test_inference_trains_nothing() -> None:
    with pytest.raises(BadInput, match="trains nothing"):
        result(method="inference")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_keep_to_the_width(width: int) -> None:
    assert max(map(length, serving_lines(result(), width))) <= width
