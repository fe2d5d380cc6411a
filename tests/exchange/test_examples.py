"""Files as the programs' own documentation shapes them: what they mean as options, and what becomes of every key."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from vram_advisor.cli.app import run
from vram_advisor.exchange.documents import flatten, parse_mapping
from vram_advisor.exchange.files import import_run

EXAMPLES = Path(__file__).parent / "examples"
OPTIONS = {
    "axolotl.yaml": "--model 8b --method qlora --recipe axolotl --sequence-length 4096 --micro-batch-size 2"
    " --gradient-accumulation-steps 4 --quantization nf4_double --lora-r 32 --lora-alpha 16 --lora-dropout 0.05"
    " --optimizer paged_adamw_32bit --gradient-checkpointing full --no-use-reentrant --loss standard"
    " --attn-implementation flash_attention_2 --mixed-precision bf16 --weights-dtype bf16",
    "llama_factory.yaml": "--model llama-3-8b --method lora --recipe llama-factory --gradient-accumulation-steps 8"
    " --padding padded --lengths varied --quantization bf16 --lora-r 8 --lora-alpha 16 --optimizer adamw_torch_fused"
    " --gradient-checkpointing full --use-reentrant --loss standard --attn-implementation sdpa --mixed-precision bf16"
    " --weights-dtype bf16",
    "trl.yaml": "--model qwen2.5-0.5b --method lora --recipe trl --sequence-length 2048 --micro-batch-size 2"
    " --gradient-accumulation-steps 8 --quantization bf16 --lora-r 32 --lora-alpha 16 --lora-dropout 0.05"
    " --target-modules q_proj k_proj v_proj o_proj --optimizer adamw_torch_fused --gradient-checkpointing full"
    " --loss liger --attn-implementation sdpa --mixed-precision bf16 --weights-dtype bf16",
    "trl.sh": "--model qwen2.5-7b --method qlora --recipe trl --sequence-length 1024 --micro-batch-size 4 --padding padded"
    " --lengths varied --quantization nf4_double --lora-dropout 0.05 --optimizer paged_adamw_8bit"
    " --gradient-checkpointing full --loss trl_fused_head --attn-implementation sdpa --mixed-precision bf16"
    " --weights-dtype bf16 --expandable-segments",
    "launched.sh": "--model qwen2.5-7b --method full --recipe trl --sequence-length 4096 --lengths varied --quantization bf16"
    " --optimizer adamw_torch_fused --gradient-checkpointing full --loss trl_fused_head --attn-implementation sdpa"
    " --mixed-precision bf16 --weights-dtype bf16 --num-gpus 4 --sharding fsdp_full",
    "arguments.json": "--model 8b --method lora --micro-batch-size 4 --gradient-accumulation-steps 2 --optimizer adamw_torch"
    " --gradient-checkpointing full --loss standard --mixed-precision bf16",
    "unsloth.py.txt": "--model 8b --method qlora --recipe unsloth --sequence-length 2048 --micro-batch-size 2"
    " --gradient-accumulation-steps 4 --lengths varied --quantization nf4_double --lora-r 16 --lora-alpha 16"
    " --target-modules q_proj k_proj v_proj o_proj gate_proj up_proj down_proj --optimizer adamw_bnb_8bit"
    " --gradient-checkpointing offload --attn-implementation sdpa --mixed-precision bf16 --weights-dtype bf16",
    "unsloth.json": "--model 8b --method lora --recipe unsloth --sequence-length 4096 --lengths varied --quantization bf16"
    " --lora-r 8 --lora-alpha 16 --target-modules q_proj v_proj --optimizer adamw_torch --gradient-checkpointing full"
    " --attn-implementation sdpa --mixed-precision bf16 --weights-dtype bf16",
    "torchtune.yaml": "--model 8b --method qlora --recipe torchtune --sequence-length 4096 --micro-batch-size 2"
    " --gradient-accumulation-steps 8 --quantization nf4_double --lora-r 8 --lora-alpha 16"
    " --target-modules q_proj v_proj o_proj gate_proj up_proj down_proj --optimizer adamw_torch_fused"
    " --gradient-checkpointing full --loss torchtune_chunked --weights-dtype bf16",
    "litgpt.yaml": "--model llama-3.2-1b --method qlora --recipe litgpt --sequence-length 512 --micro-batch-size 2"
    " --gradient-accumulation-steps 4 --quantization nf4 --lora-r 32 --lora-alpha 16 --lora-dropout 0.05"
    " --target-modules q_proj v_proj --optimizer adamw_torch --mixed-precision none --weights-dtype bf16",
    "deepspeed.json": "--model 8b --method full --gradient-accumulation-steps 2 --mixed-precision bf16 --sharding zero2"
    " --offload optimizer --num-gpus 4",
    "accelerate.yaml": "--model 8b --method lora --mixed-precision bf16 --sharding fsdp_full --num-gpus 2",
    "Modelfile": "--model 8b --quantization q4_k_m --runtime ollama --context-length 8192 --n-gpu-layers 20",
    "llama-server.sh": "--model 8b --quantization q4_k_m --runtime llama.cpp --context-length 8192 --num-sequences 4"
    " --n-parallel 4 --cache-type-k q8_0 --cache-type-v q8_0 --n-gpu-layers 99 --flash-attn on --spec-draft-n-max 8",
    "vllm.sh": "--model 8b --runtime vllm --quantization bf16 --weights-dtype bf16 --context-length 8192 --num-sequences 16"
    " --num-gpus 2 --cache-type-k fp8 --cache-type-v fp8 --gpu-memory-utilization 0.85",
}
"""The same run by options."""
BESIDE = {
    "arguments.json": "--model 8b --method lora", "deepspeed.json": "--model 8b --method full --num-gpus 4",
    "accelerate.yaml": "--model 8b --method lora", "Modelfile": "--model 8b", "llama-server.sh": "--model 8b",
    "llama_factory.yaml": "--model llama-3-8b",
}  # fmt: skip
"""What the file does not say, or names by a repository that is not in the catalogue."""
LEFT = {
    "axolotl.yaml": (("torch_compile",), ("my_own_key",)),
    "llama_factory.yaml": (("upcast_layernorm",), ()),
    "torchtune.yaml": (("compile",), ()),
    "deepspeed.json": (("zero_optimization.reduce_bucket_size",), ()),
    "vllm.sh": (("--enforce-eager",), ()),
}
"""Keys that change memory by an unknown amount, and keys that are not understood."""


def answer(capfd: pytest.CaptureFixture[str], words: list[str]) -> object:
    capfd.readouterr()
    run(["check", *words, "--gpu", "a100-80gb", "--json"])
    captured = capfd.readouterr()
    assert captured.out, captured.err
    document: dict[str, object] = json.loads(captured.out)
    # What the file said; everything else is as if it had been said by options.
    del document["imported"]
    return document


def bytes_of(document: object) -> object:
    """The four numbers and the parts of the one option of an answer."""
    assert isinstance(document, dict)
    (option,) = document["options"]
    return {key: value for key, value in option.items() if key not in ("title", "plan")}


def test_every_example_is_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_estimate_is_that_of_the_same_run_by_options(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    from_file = answer(capfd, ["--config", str(EXAMPLES / name), *shlex.split(BESIDE.get(name, ""))])
    assert from_file == answer(capfd, shlex.split(OPTIONS[name]))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_key_is_used_or_listed(name: str) -> None:
    found = import_run((EXAMPLES / name).read_bytes(), name)
    assert (found.not_modelled, found.unknown) == LEFT.get(name, ((), ()))
    if name.endswith((".yaml", ".json")):
        keys = set(flatten(parse_mapping((EXAMPLES / name).read_text(encoding="utf-8"), name), name))
        listed = [*(used.key for used in found.used), *found.irrelevant, *found.not_modelled, *found.unknown]
        assert sorted(listed) == sorted(keys)


def test_the_whole_table_of_options_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    run(["check", "--config", str(EXAMPLES / "axolotl.yaml"), "--gpu", "a100-80gb", "--lora-r", "16"])
    out = " ".join(capfd.readouterr().out.split())
    assert (
        "adapter: qlora, load_in_4bit: true, load_in_8bit: false, bf16: auto = --method qlora --quantization nf4_double"
        in out
    )
    assert "lora_r: 32 = overridden by --lora-r 16" in out
    assert "not understood: my_own_key" in out
    assert "not in the estimate: torch_compile" in out


def test_beside_json_the_keys_that_are_left_are_narrated(capfd: pytest.CaptureFixture[str]) -> None:
    run(["check", "--config", str(EXAMPLES / "axolotl.yaml"), "--gpu", "a100-80gb", "--json"])
    err = capfd.readouterr().err
    assert "not in the estimate: torch_compile." in err and "not understood: my_own_key." in err


def test_an_option_overrides_the_file_even_where_it_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    file = ["--config", str(EXAMPLES / "axolotl.yaml")]
    assert answer(capfd, [*file, "--micro-batch-size", "1"]) == answer(
        capfd, shlex.split(OPTIONS["axolotl.yaml"].replace("--micro-batch-size 2", "--micro-batch-size 1"))
    )


def test_standard_input(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with (EXAMPLES / "vllm.sh").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": file, "isatty": lambda self: False})())
        piped = answer(capfd, ["--config", "-"])
    assert piped == answer(capfd, ["--config", str(EXAMPLES / "vllm.sh")])


@pytest.mark.parametrize(
    ("gpu", "code"), [("h100-sxm", 0), ("rtx-3060-12gb", 1)]
)  # fmt: skip
def test_a_guard_in_front_of_a_run(gpu: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(EXAMPLES / "axolotl.yaml"), "--gpu", gpu, "--strict"]) == code


def test_what_is_trained_has_to_be_said_somewhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(EXAMPLES / "accelerate.yaml"), "--model", "8b"]) == 2
    assert "does not say what is trained: add --method" in capfd.readouterr().err
    assert run(["check", "--config", str(EXAMPLES / "accelerate.yaml"), "--method", "lora"]) == 2
    assert "does not name the model" in capfd.readouterr().err


@pytest.mark.parametrize("program", ["axolotl", "llama-factory", "trl", "unsloth", "torchtune", "litgpt"])
def test_emit_writes_what_was_estimated(program: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["--model", "meta-llama/Llama-3.1-8B", "--method", "qlora", "--lora-r", "32", "--gpu", "rtx-4090"]
    assert run(["check", *asked, "--emit", program]) == 0
    captured = capfd.readouterr()
    assert captured.err.startswith("vram-advisor: FITS: ")
    file = tmp_path / "run"
    file.write_text(captured.out, encoding="utf-8")
    again = answer(capfd, ["--config", str(file)])
    direct = answer(capfd, [*asked[:-2], "--recipe", program, "--quantization", "nf4_double"])
    assert bytes_of(again) == bytes_of(direct)


@pytest.mark.parametrize("program", ["llama-server", "llama-cli", "ollama", "lm-studio", "vllm"])
def test_emit_of_a_server(program: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--model", "8b", "--gpu", "a100-80gb", "--context-length", "8192", "--emit", program]) == 0
    assert "8192" in capfd.readouterr().out


def test_what_cannot_be_written_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    run(["check", "--model", "8b", "--method", "lora", "--num-gpus", "2", "--emit", "trl", "--gpu", "a100-80gb"])
    assert "TRL takes --num-gpus 2 from elsewhere: accelerate launch --num_processes." in capfd.readouterr().err
    assert run(["check", "--model", "8b", "--method", "lora", "--emit", "vllm", "--gpu", "a100-80gb"]) == 2
    capfd.readouterr()
    assert run(["check", "--model", "qwen3-8b", "--method", "lora", "--emit", "torchtune", "--gpu", "a100-80gb"]) == 2
    assert "torchtune has no model of its own for Qwen/Qwen3-8B." in capfd.readouterr().err
    run(["check", "--model", "8b", "--method", "lora", "--lora-r", "8", "--emit", "deepspeed", "--gpu", "a100-80gb"])
    assert "DeepSpeed leaves --quantization bf16, --lora-r 8" in capfd.readouterr().err


def test_a_name_of_the_catalogue_is_written_as_others_know_it(capfd: pytest.CaptureFixture[str]) -> None:
    run(["check", "--model", "8b", "--method", "lora", "--emit", "axolotl", "--gpu", "a100-80gb"])
    assert "base_model: meta-llama/Llama-3.1-8B" in capfd.readouterr().out
    run(["check", "--model", "8b", "--quantization", "q4_k_m", "--emit", "llama-server", "--gpu", "a100-80gb"])
    assert "--model llama-3.1-8b-Q4_K_M.gguf" in capfd.readouterr().out
