"""``--config`` of check, advise and trace: a file of another program, under the options of the command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from done import Command
from jsonschema import Draft202012Validator

from vram_advisor.report.schema import schema

EXAMPLES = Path(__file__).resolve().parents[1] / "exchange" / "examples"
AXOLOTL = EXAMPLES / "axolotl.yaml"
TRL = EXAMPLES / "trl.yaml"
SMALL = {
    "model_type": "llama", "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 512, "torch_dtype": "bfloat16",
}  # fmt: skip


def parsed(text: str) -> Any:
    return json.loads(text)


def test_advice_on_a_file_is_advice_on_its_options(command: Command) -> None:
    by_file = command("advise", "--config", AXOLOTL, "--gpu", "rtx-3060-12gb", "--json")
    assert by_file.code == 0 and "my_own_key" in by_file.err
    said = parsed(by_file.out)
    words: list[str] = []
    for name in ("method", "sequence_length", "micro_batch_size", "gradient_accumulation_steps", "padding", "lengths"):
        words += [f"--{name.replace('_', '-')}", str(said["workload"][name])]
    for name, value in said["plan"].items():
        if name in ("recipe", "quantization", "lora_r", "optimizer", "gradient_checkpointing", "loss", "lora_dropout"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    more = ("--attn-implementation", said["plan"]["attn_implementation"], "--mixed-precision", "bf16")
    by_options = command("advise", "--model", "llama-3.1-8b", *words, *more, "--gpu", "rtx-3060-12gb", "--json")
    assert parsed(by_options.out)["minimum_bytes"] == said["minimum_bytes"]


def test_options_override_the_file(command: Command) -> None:
    done = command("advise", "--config", AXOLOTL, "--sequence-length", "1024", "--gpu", "rtx-5070", "--json")
    asked = parsed(done.out)["workload"]
    assert asked["sequence_length"] == 1024 and asked["micro_batch_size"] == 2


def test_advice_says_what_it_understood(command: Command) -> None:
    done = command("advise", "--config", AXOLOTL, "--gpu", "h100-sxm")
    assert "sequence_len: 4096 = --sequence-length 4096" in done.out
    assert "not understood: my_own_key" in done.out


def test_advice_reads_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.TextIOWrapper(io.BytesIO(AXOLOTL.read_bytes()))
    monkeypatch.setattr("sys.stdin", text)
    done = command("advise", "--config", "-", "--gpu", "h100-sxm", "--json")
    assert done.code == 0 and parsed(done.out)["workload"]["method"] == "qlora"


@pytest.mark.parametrize("name", ["check", "advise", "trace"])
def test_a_file_that_names_no_model_is_one_sentence(name: str, command: Command) -> None:
    done = command(name, "--config", EXAMPLES / "deepspeed.json", "--method", "full")
    assert done.code == 2 and done.err.endswith("deepspeed.json does not name the model.\n")
    done = command(name)
    assert done.code == 2 and done.err == "vram-advisor: --model is missing, or nothing follows it.\n"


@pytest.mark.parametrize("name", ["check", "advise", "trace"])
def test_a_hostile_file_is_one_sentence_whatever_asks(name: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("base_model: !!python/object/apply:os.system ['touch owned']\n", encoding="utf-8")
    done = command(name, "--config", file, "--gpu", "h100-sxm") if name != "trace" else command(name, "--config", file)
    assert done.code == 2 and done.err.startswith(f"vram-advisor: {file}") and done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_trace_refuses_a_server_by_name(command: Command) -> None:
    done = command("trace", "--config", EXAMPLES / "vllm.sh", "--model", "7b")
    assert done.code == 2 and "--method inference" in done.err


def test_the_run_of_a_file_is_traced(command: Command, tmp_path: Path) -> None:
    model = tmp_path / "config.json"
    model.write_text(json.dumps(SMALL), encoding="utf-8")
    done = command(
        "trace", "--config", TRL, "--model", model, "--sequence-length", "32", "--loss", "standard", "--json"
    )
    assert done.code == 0, done.err
    said = parsed(done.out)
    Draft202012Validator(schema("trace")).validate(said)
    assert said["recipe"] == "trl" and said["plan"]["lora_r"] == 32
    assert said["workload"]["sequence_length"] == 32 and said["workload"]["micro_batch_size"] == 2
    assert said["allocated_bytes"] > 0
