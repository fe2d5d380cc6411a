"""How ``check`` ends: the two best pieces of advice with figures, and what has to be on disk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from done import Command

from tests.report.json_schema import problems
from vram_advisor import api
from vram_advisor.report.schema import schema


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "13b", "method": "lora", "gpu": "rtx-5070", "quantization": "bf16"},
        {"model": "llama-3.1-8b", "gpu": "rtx-5070", "context_length": 65536, "runtime": "llama.cpp"},
        {"model": "7b", "method": "lora", "gpu": "rtx-5070", "sequence_length": 16384},
    ],
    ids=["training", "inference", "long"],
)
def test_advice_asked_for_as_it_says_has_what_it_claims(asked: dict[str, object]) -> None:
    answer = api.check(**asked, advised=True)  # type: ignore[arg-type]
    assert 1 <= len(answer.advices) <= 2
    for advice in answer.advices:
        again = api.check(advice.model, gpu="rtx-5070", workload=advice.workload, plan=advice.asked)
        found = [o for o in again.options if o.estimate.minimum_mean == advice.estimate.minimum_mean]
        assert found and found[0].verdict.outcome == "fits" == advice.verdict.outcome


def test_an_option_that_goes_back_to_the_recipe_is_left_out(command: Command) -> None:
    said = " ".join(command("check", "--model", "7b", "--method", "full", "--gpu", "rtx-4090").out.split())
    assert "--method lora --quantization bf16)" in said and "None" not in said


def test_what_fits_gets_no_advice_and_searches_nothing(command: Command) -> None:
    assert api.check("7b", gpu="rtx-5090", method="lora", advised=True).advices == ()
    code = "import sys; from vram_advisor.cli.app import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    arguments = ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert not {"vram_advisor.advice.search", "vram_advisor.advice.levers"} & set(done.stderr.split())


def test_the_answer_follows_its_schema(command: Command) -> None:
    found = json.loads(command("check", "--model", "13b", "--method", "lora", "--gpu", "rtx-5070", "--json",
                               "--quantization", "bf16").out)  # fmt: skip
    assert problems(found, schema("check")) == []
    assert found["advices"][0]["verdict"]["outcome"] == "fits" and found["download"]["size_bytes"] > 26e9


def test_weights_in_four_bits_are_made_of_those_in_sixteen() -> None:
    four, sixteen = (api.check("7b", gpu="rtx-5090", method="lora", quantization=q).download for q in ("q4", "bf16"))
    # 6,738,415,616 parameters of two bytes.
    assert four == sixteen and four is not None and four.nbytes == 13_476_831_232
    assert four.name == "meta-llama/Llama-2-7b-hf" and not four.present


def test_a_file_of_llama_cpp_has_its_own_size() -> None:
    found = api.check("7b", gpu="rtx-5090", runtime="llama.cpp", quantization="q4_k_m").download
    # The tensors of the published Llama-2-7B file.
    assert found is not None and found.nbytes == 4_080_263_168 and "Q4_K_M" in found.name


def test_what_is_in_the_cache_is_not_to_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--meta-llama--Llama-2-7b-hf" / "snapshots").mkdir(parents=True)
    found = api.check("7b", gpu="rtx-5090", method="lora").download
    assert found is not None and found.present


def test_a_configuration_on_disk_says_nothing_of_downloads(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
              "intermediate_size": 128, "vocab_size": 256}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert api.check(str(tmp_path / "config.json"), gpu="rtx-5090").download is None
