"""``models --local``: what the stores of this machine hold, whether it fits, and what programs have loaded."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from done import Command

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sources"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "report"))

from gguf_files import write_gguf
from golden import assert_golden
from json_schema import problems
from json_server import serving
from local_stores import OllamaStore, small_gguf

from vram_advisor import api
from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot, HostSnapshot, Machine
from vram_advisor.report.schema import schema

CARD = ("--gpu", "rtx-5070")


@pytest.fixture(autouse=True)
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stores inside a folder of the test, and nobody at the usual ports."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("LMSTUDIO_HOME", str(tmp_path / "lmstudio"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    monkeypatch.setenv("LLAMA_ARG_PORT", "1")
    return tmp_path


def ollama_model(stores: Path, name: str = "llama/8b") -> None:
    store = OllamaStore(stores / "ollama")
    store.add(
        f"registry.ollama.ai/library/{name}", [store.layer("model", store.gguf(stores, llama__context_length=8192))]
    )


def document(command: Command, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("models", "--local", "--json", *arguments).out)
    assert problems(found, schema("local")) == []
    return found


def test_models_of_all_stores_have_a_verdict_and_a_longest_context(command: Command, stores: Path) -> None:
    ollama_model(stores)
    small_gguf(stores / "lmstudio" / "models" / "p" / "r" / "m-Q8_0.gguf")
    first, second = document(command, *CARD)["models"]
    assert (first["name"], first["store"], first["outcome"], first["longest_context"]) == (
        "llama:8b", "ollama", "fits", 8192,
    )  # fmt: skip
    assert (second["name"], second["file_type"], second["outcome"]) == ("p/r/m-Q8_0", "Q8_0", "fits")


def test_a_next_run_says_the_same_without_a_look_at_the_weights(command: Command, stores: Path) -> None:
    ollama_model(stores)
    path = small_gguf(stores / "lmstudio" / "models" / "p" / "r" / "m-Q8_0.gguf")
    first = document(command, *CARD)["models"]
    # Only what a list shows is read again: the keys in front of the vocabulary.
    state = path.stat()
    path.write_bytes(path.read_bytes()[:450].ljust(state.st_size, b"x"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert document(command, *CARD)["models"] == first
    small_gguf(path, matrices="F16")
    assert document(command, *CARD)["models"][1]["need_bytes"] > first[1]["need_bytes"]


def test_a_next_run_with_another_context_says_what_a_first_run_says(command: Command, stores: Path) -> None:
    ollama_model(stores)
    document(command, *CARD)
    next_one = document(command, *CARD, "--context-length", 6000)["models"]
    (Path(os.environ["XDG_CACHE_HOME"]) / "vram-advisor" / "local-models.json").unlink()
    assert next_one == document(command, *CARD, "--context-length", 6000)["models"]


def test_weights_that_get_an_adapter_are_estimated_again(command: Command, stores: Path) -> None:
    store = OllamaStore(stores / "ollama")
    model = store.layer("model", store.gguf(stores))
    name = "registry.ollama.ai/library/llama/8b"
    store.add(name, [model])
    (alone,) = document(command, *CARD)["models"]
    keys = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
    }
    pair = [(f"blk.0.attn_q.weight.lora_{half}", shape, "F32") for half, shape in (("a", (4, 32)), ("b", (32, 4)))]
    adapter = write_gguf(stores / "adapter.gguf", keys, pair)
    store.add(name, [model, store.layer("adapter", store.blob(adapter.read_bytes()))])
    (adapted,) = document(command, *CARD)["models"]
    assert adapted["need_bytes"] > alone["need_bytes"]


def test_what_is_said_of_a_file_is_what_check_says(command: Command, stores: Path) -> None:
    path = small_gguf(stores / "lmstudio" / "models" / "p" / "r" / "m-Q8_0.gguf")
    (model,) = document(command, *CARD, "--context-length", 1024)["models"]
    answer = api.check(str(path), gpu="rtx-5070", runtime="lm-studio", context_length=1024)
    assert model["need_bytes"] == int(answer.options[0].estimate.minimum_mean)


def test_without_a_card_there_is_a_need_and_no_verdict(command: Command, stores: Path) -> None:
    small_gguf(stores / "lmstudio" / "models" / "p" / "r" / "m-Q8_0.gguf")
    (model,) = document(command)["models"]
    assert model["need_bytes"] > 0 and model["outcome"] is None and model["longest_context"] is None


def test_an_entry_that_cannot_be_used_does_not_hide_the_others(command: Command, stores: Path) -> None:
    folder = stores / "lmstudio" / "models" / "p" / "r"
    small_gguf(folder / "good-Q8_0.gguf")
    (folder / "torn-Q8_0.gguf").write_bytes(b"GGUF\3\0")
    small_gguf(folder / "odd-Q8_0.gguf", general__architecture="unheard-of")
    done = command("models", "--local", *CARD)
    assert done.code == 0 and "good-Q8_0" in done.out and "torn-Q8_0" in done.out
    assert "odd-Q8_0: " in done.out and done.err == ""


def test_a_loaded_model_is_shown_predicted_beside_reported(
    command: Command, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama_model(stores)
    loaded = {"name": "llama:8b", "digest": "x", "size": 4 << 20, "size_vram": 3 << 20, "context_length": 2048}
    answers: dict[str, Any] = {"/api/version": {"version": "0.33.0"}, "/api/ps": {"models": [loaded]}}
    with serving(answers) as (address, asked):
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{address.port}")
        (program,) = document(command, *CARD)["programs"]
        text = command("models", "--local", *CARD).out
    assert {line.split()[0] for line in asked} == {"GET"}
    (model,) = program["loaded"]
    assert (program["version"], model["reported_bytes"], model["context_length"]) == ("0.33.0", 3 << 20, 2048)
    asked_again = api.check("ollama:llama:8b", gpu="rtx-5070", runtime="ollama", context_length=2048)
    assert model["predicted_bytes"] == asked_again.options[0].estimate.peak.allocated_bytes.mid
    assert model["predicted_process_bytes"] > model["predicted_bytes"] and model["measured_bytes"] is None
    assert "Ollama 0.33.0" in text and "3 MiB" in text


def test_the_driver_is_the_third_to_say_what_a_loaded_model_takes(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama_model(stores)
    host = HostSnapshot("linux", None, 8, 32 << 30, 20 << 30)
    runner = GpuProcess(7, "llama-server", 700 << 20)
    card = GpuSnapshot(0, "NVIDIA GeForce RTX 5070", "NVIDIA", 12 << 30, 11 << 30, processes=(runner,))
    loaded = {"name": "llama:8b", "digest": "x", "size": 4 << 20, "size_vram": 3 << 20, "context_length": 2048}
    with serving({"/api/version": {"version": "0.33.0"}, "/api/ps": {"models": [loaded]}}) as (address, _):
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{address.port}")
        (program,) = api.survey(machine=Machine(host, (card,))).programs
    (model,) = program.loaded
    assert (model.reported_bytes, model.measured_bytes) == (3 << 20, 700 << 20)
    assert model.predicted_bytes is not None and model.predicted_process_bytes is not None
    assert model.predicted_bytes < model.predicted_process_bytes < 700 << 20


def test_a_program_that_does_not_answer_costs_little_time(
    command: Command, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert document(command, *CARD)["programs"] == []
    assert time.monotonic() - start < 4


def test_words_choose_and_nothing_is_an_answer(command: Command, stores: Path) -> None:
    for name in ("one", "two"):
        small_gguf(stores / "lmstudio" / "models" / "p" / "r" / f"{name}-Q8_0.gguf")
    assert [model["name"] for model in document(command, "two")["models"]] == ["p/r/two-Q8_0"]
    assert document(command, "three")["models"] == []


def test_a_hundred_files_take_about_a_second(stores: Path) -> None:
    for number in range(100):
        small_gguf(stores / "lmstudio" / "models" / "p" / f"r{number}" / f"m{number}-Q8_0.gguf")
    took = []
    for _ in range(3):
        start = time.process_time()
        assert len(api.survey(gpu="rtx-5070").models) == 100
        took.append(time.process_time() - start)
    assert min(took) <= 1


def test_golden(command: Command, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ollama_model(stores)
    small_gguf(stores / "lmstudio" / "models" / "publisher" / "repository-GGUF" / "small-llama-Q8_0.gguf")
    assert_golden("models_local_80.txt", command("models", "--local", *CARD).out)


def test_local_and_fit_are_two_questions(command: Command) -> None:
    done = command("models", "--local", "--fit")
    assert done.code == 2 and "--fit" in done.err
