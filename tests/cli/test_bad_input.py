"""Whatever is wrong with what was typed or with a file: exit code 2, one sentence, no wait and no memory."""

import json
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from done import Command, Done
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MIB = 2**20
GIB = 2**30
MOST_MEMORY = 96 * MIB
"""What one refusal may take; a file of ten GiB would take more."""
LONGEST_WAIT_S = 10
ON_5070 = ("check", "--model", "7b", "--gpu", "rtx-5070")
LORA = (*ON_5070, "--method", "lora")
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 256,
}
LEDGER = "id,source,model,method,meter,measured_bytes,resolution_bytes,second_meter,second_measured_bytes"
pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")


@pytest.fixture
def refused(command: Command) -> Callable[..., str]:
    """Runs a command that has to be refused, and returns its sentence."""

    def call(*arguments: object) -> str:
        begin = time.monotonic()
        done = command(*arguments)
        assert time.monotonic() - begin < LONGEST_WAIT_S
        assert_refused(done)
        return done.err

    return call


def assert_refused(done: Done) -> None:
    """Exit code 2, nothing on standard output, one printable line on standard error."""
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("vram-advisor: ") and done.err.endswith("\n")
    line = done.err[:-1]
    assert line.isprintable() and len(line) < 4100 and "Traceback" not in line


def written(folder: Path, content: object, name: str = "config.json") -> Path:
    """A file of bytes, of text, or of a value as JSON."""
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    file = folder / name
    file.write_bytes(data)
    return file


def sparse(file: Path, size: int, begin: bytes = b"") -> Path:
    """A file that is long and takes no room."""
    file.write_bytes(begin)
    os.truncate(file, size)
    return file


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sequence-length", "0"), "--sequence-length 0: should be greater than or equal to 1"),
        (("--sequence-length", "-1"), "--sequence-length -1"),
        (("--sequence-length", 10**30), "--sequence-length 1e+30: should be less than"),
        (("--sequence-length", "9" * 5000), "--sequence-length 999"),
        (("--sequence-length", ""), "should be a whole number"),
        (("--micro-batch-size", "nan"), "should be a whole number"),
        (("--gradient-accumulation-steps", "0"), "--gradient-accumulation-steps 0"),
        (("--lora-r", "0"), "--lora-r 0: should be greater than or equal to 1"),
        (("--lora-r", 2**40), "--lora-r 1099511627776: should be less than"),
        (("--lora-alpha", "nan"), "--lora-alpha nan"),
        (("--lora-alpha", "1e999"), "--lora-alpha inf"),
        (("--lora-dropout", "-0.1"), "--lora-dropout -0.1"),
        (("--num-gpus", 10**9), "--num-gpus 1000000000: should be less than or equal to 65536"),
        (("--gpu-memory-utilization", "0"), "--gpu-memory-utilization 0.0"),
        (("--optimizer", "adamw"), "--optimizer adamw is not known: use one of"),
        (("--optimizer", ""), "--optimizer is empty"),
        (("--loss", "mse"), "--loss mse is not known: use one of"),
        (("--loss", ""), "--loss is empty"),
        (("--attn-implementation", ""), "--attn-implementation is empty"),
        (("--quantization", ""), "--quantization is empty"),
        (("--recipe", "none-such"), "--recipe none-such is not known: use one of"),
        (("--recipe", ""), "--recipe is empty"),
        (("--target-modules", ""), "--target-modules is empty"),
        (("--target-modules",), "--target-modules is empty"),
        (("--target-modules", "q_proj", ""), "--target-modules is empty"),
        (("--modules-to-save", "nonsense"), "llama-2-7b has no such module"),
        (("--sharding", "fsdp"), "the nearest is"),
        (("--use-reentrant", "perhaps"), "'perhaps' belongs to no option"),
        (("--json=maybe",), "true or false"),
        (("--\x1b[31m",), "Unknown option"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_an_absurd_value_names_its_option(
    refused: Callable[..., str], options: tuple[object, ...], said: str, form: tuple[str, ...]
) -> None:
    assert said in refused(*LORA, *form, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "full", "--quantization", "nf4_double"), "cannot be trained: use --method qlora"),
        (("--method", "lora", "--runtime", "vllm"), "--runtime vllm serves models and --method lora trains one"),
        (("--method", "qlora", "--quantization", "fp16"), "use --method lora or --quantization nf4_double"),
        (("--prompt-length", "5000"), "--prompt-length 5000 is more than --context-length 4096"),
        (("--runtime", "vllm", "--sharding", "zero3", "--num-gpus", "2"), "--sharding is for training"),
        (("--gpu-index", "0"), "use one of the two"),
    ],
)
def test_options_that_contradict_each_other_are_both_named(
    refused: Callable[..., str], options: tuple[str, ...], said: str
) -> None:
    assert said in refused(*ON_5070, *options)


@pytest.mark.parametrize(
    "gpu", ["", " ", "\0", "日本", "rtx\n5070x", "a" * 100_000, "780m 0gb", f"780m {'9' * 5000}gb"]
)
def test_what_is_no_card_is_one_sentence(refused: Callable[..., str], gpu: str) -> None:
    assert "GPU" in refused("check", "--model", "7b", "--gpu", gpu)


@pytest.mark.parametrize(
    "model",
    ["", " ", "\0", "a\nb", "\udcff", "x" * 10**6, "~nobody-of-this-name/model", "./~nobody-of-this-name", "/dev/zero",
     "/dev/null", "https://example.org/model", "a/b/c", "weights.bin", "weights.gguf", "a/" * 1000, "-"],
)  # fmt: skip
def test_what_is_no_model_is_one_sentence(refused: Callable[..., str], model: str) -> None:
    refused("check", f"--model={model}")


@pytest.mark.parametrize("offline", ["", "1"])
def test_a_repository_without_a_network_does_not_hang(
    command: Command, monkeypatch: pytest.MonkeyPatch, offline: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.delenv("HOME")
    begin = time.monotonic()
    done = command("check", "--model", "owner/no-such-name")
    assert time.monotonic() - begin < LONGEST_WAIT_S
    assert (done.code, done.out) == (3, "")
    assert "not in the local cache" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, expected a whole number from 1"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000"),
        ({"vocab_size": 10**12}, "vocab_size is 1000000000000, expected"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": "64"}, "hidden_size is '64'"),
        ({"hidden_size": 64.5}, "hidden_size is 64.5"),
        ({"num_key_value_heads": 3}, "3"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"tie_word_embeddings": "yes"}, "expected true or false"),
        ({"model_type": "mistral", "sliding_window": 8, "layer_types": ["full_attention"]}, "a list of 2 texts"),
        ({"model_type": "my-own"}, "'my-own' is not a modelled architecture"),
        ({"model_type": "\x1b[31m\n"}, "is not a modelled architecture"),
        ({"model_type": 7}, "model_type is 7"),
        ({"text_config": [1]}, "text_config is [1], expected an object"),
        ({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5}, "at most the 4 experts"),
    ],
)
def test_an_absurd_configuration_names_file_and_field(
    refused: Callable[..., str], tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    file = written(tmp_path, {**CONFIG, **changes})
    sentence = refused("check", "--model", file)
    assert said in sentence and str(file) in sentence


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 1000, b"\xff\xfe{}", b"MZ\x90\0" * 99, b"[" * 100_000, b'{"a":' * 100_000, b'{"a": NaN}', b"[]",
     b'{"vocab_size": -Infinity}', json.dumps(CONFIG).encode()[:-9], json.dumps(CONFIG).encode("utf-16"),
     struct.pack("<Q", 2**63), struct.pack("<Q", 2**64 - 1) + b"{}", struct.pack("<Q", 90) + b"{}"],
)  # fmt: skip
def test_a_broken_file_is_named(refused: Callable[..., str], tmp_path: Path, name: str, content: bytes) -> None:
    file = written(tmp_path, content, name)
    assert str(file) in refused("check", "--model", file)
    assert str(tmp_path) in refused("check", "--model", tmp_path, "--json")


@pytest.mark.parametrize(
    "shard", ["gone.safetensors", "model.safetensors.index.json", "../up.safetensors", "\0.safetensors",
              "\ud800.safetensors", "a" * 300 + ".safetensors"],
)  # fmt: skip
def test_an_index_that_points_nowhere(refused: Callable[..., str], tmp_path: Path, shard: str) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"")
    index = written(tmp_path, {"weight_map": {"a": shard}}, "model.safetensors.index.json")
    assert str(index) in refused("check", "--model", tmp_path)
    assert "give the folder that it is in" in refused("check", "--model", index)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.safetensors.index.json", "ledger.csv"])
@pytest.mark.parametrize("kind", ["loop", "folder", "zero", pytest.param("pipe", marks=pipes)])
def test_what_is_no_file_is_not_waited_for(refused: Callable[..., str], tmp_path: Path, name: str, kind: str) -> None:
    file = tmp_path / name
    if kind == "loop":
        file.symlink_to(name)
    elif kind == "folder":
        file.mkdir()
    elif kind == "zero":
        file.symlink_to("/dev/zero")
    else:
        os.mkfifo(file)
    if name == "ledger.csv":
        refused("accuracy", file)
    else:
        refused("check", "--model", file)
        refused("check", "--model", tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_what_may_not_be_read(refused: Callable[..., str], tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    file = written(folder, CONFIG)
    file.chmod(0)
    assert "Permission denied" in refused("check", "--model", file)
    assert "Permission denied" in refused("accuracy", file)
    folder.chmod(mode)
    try:
        assert "Permission denied" in refused("check", "--model", folder)
        refused("check", "--model", file)
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "announced.safetensors", "ledger.csv"])
def test_ten_gibibytes_are_not_read(refused: Callable[..., str], tmp_path: Path, name: str) -> None:
    begin = struct.pack("<Q", 100_000_000) if name.startswith("announced") else b""
    file = sparse(tmp_path / name, 10 * GIB, begin)
    small(lambda: refused(*(("accuracy",) if name == "ledger.csv" else ("check", "--model")), file))


@pytest.mark.parametrize("value", [b"{}", b"0"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_values_that_are_small_in_the_file_and_large_in_memory(
    refused: Callable[..., str], tmp_path: Path, name: str, value: bytes
) -> None:
    size = 4 * MIB if name == "config.json" else 32 * MIB
    data = b'{"model_type":"llama","x":[' + b",".join([value] * ((size - 64) // (len(value) + 1))) + b"]}"
    file = written(tmp_path, data if name == "config.json" else struct.pack("<Q", len(data)) + data, name)
    small(lambda: refused("check", "--model", file))


def small(call: Callable[[], object]) -> None:
    """Calls, and measures that it took little memory."""
    tracemalloc.start()
    try:
        call()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY + 32 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\0", b"\0\1\2", b"a,b\n1,2\n", b'"' * 99_999, b"," * 99_999, f"{LEDGER}\nr,s,7b,lora,reserved,many,1".encode(),
     f"{LEDGER}\nr,s,7b,lora,reserved,-1,1".encode(), f"{LEDGER}\nr,s,7b,lora,reserved,{'9' * 5000},1".encode(),
     f'{LEDGER}\nr,s,7b,lora,reserved,"{"9" * 200_000}'.encode()],
)  # fmt: skip
def test_a_broken_ledger_is_named(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    file = written(tmp_path, content, "ledger.csv")
    assert str(file) in refused("accuracy", file)
    assert str(file) in refused("accuracy", file, "--json")


ROWS = st.lists(
    st.lists(st.sampled_from(["", "0", "7b", "lora", "reserved", "1e9", "-1", "x", '"']), max_size=16), max_size=3
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_any_ledger_is_scored_or_refused(command: Command, tmp_path: Path, rows: list[list[str]]) -> None:
    header = f"{LEDGER},quality,sequence_length,micro_batch_size,num_gpus,notes,quantization,sharding"
    file = written(tmp_path, "\n".join([header, *map(",".join, rows)]), "ledger.csv")
    done = command("accuracy", file, "--json")
    if done.code:
        assert_refused(done)
    else:
        json.loads(done.out)


WORDS = st.sampled_from(["", "0", "1", "-1", "nan", "1e9", "none", "full", "bf16", "vllm", "q4", "9" * 40, "\0", "é"])
OPTIONS = st.sampled_from(
    ["--sequence-length", "--context-length", "--prompt-length", "--num-sequences", "--micro-batch-size", "--lora-r",
     "--num-gpus", "--sharding", "--offload", "--runtime", "--quantization", "--gradient-checkpointing", "--optimizer",
     "--loss", "--weights-dtype", "--mixed-precision", "--cache-type-k", "--gpu-memory-utilization", "--lora-dropout",
     "--target-modules", "--modules-to-save", "--recipe", "--gpu-index", "--no-such"]
)  # fmt: skip


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["inference", "lora", "qlora", "dora", "full", ""]),
    options=st.dictionaries(OPTIONS, WORDS, max_size=4),
)
def test_any_options_are_answered_or_refused(command: Command, method: str, options: dict[str, str]) -> None:
    said = [word for option in options.items() for word in option]
    done = command(*ON_5070, "--json", "--method", method, *said)
    if done.code in (0, 1):
        json.loads(done.out)
    else:
        assert_refused(done)


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["inference", "lora"]),
    changes=st.dictionaries(
        st.sampled_from([*CONFIG, "head_dim", "hidden_act", "torch_dtype", "text_config", "quantization_config"]),
        st.none()
        | st.booleans()
        | st.integers(-2, 2**40)
        | st.floats()
        | st.text(max_size=5)
        | st.just([])
        | st.just({}),
        max_size=3,
    ),
)
def test_any_configuration_is_answered_or_refused(
    command: Command, tmp_path: Path, method: str, changes: dict[str, object]
) -> None:
    done = command(
        "check", "--model", written(tmp_path, {**CONFIG, **changes}), "--method", method, "--json", "--gpu", "b200"
    )
    if done.code in (0, 1):
        json.loads(done.out)
    else:
        assert_refused(done)
