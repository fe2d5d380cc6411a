"""A running Ollama, played by a server that speaks its documented JSON."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from local_stores import LAYERS, SMALL_LLAMA, TENSORS

from vram_advisor.sources.local_http import Address
from vram_advisor.sources.models import resolve_model
from vram_advisor.sources.ollama_api import loaded, served, server_address, show_model, version
from vram_advisor.units.errors import BadInput, Missing

DIGEST = "9" * 64
SHAPES = [(name, shape, kind) for name, shape, kind in TENSORS] + [
    (f"blk.0.{name}", shape, "Q8_0" if len(shape) > 1 else "F32") for name, shape in LAYERS
]
SHOWN = {
    "details": {"format": "gguf", "family": "llama"},
    "model_info": {**SMALL_LLAMA, "llama.rope.freq_base": 500000.0, "tokenizer.ggml.tokens": None},
    "tensors": [{"name": name, "type": kind, "shape": list(reversed(shape))} for name, shape, kind in SHAPES],
    "capabilities": ["completion"],
}
ANSWERS: dict[str, Any] = {
    "/api/version": {"version": "0.33.0"},
    "/api/tags": {
        "models": [
            {
                "name": "llama3.1:8b", "model": "llama3.1:8b", "modified_at": "2026-08-21T10:00:00Z",
                "size": 4920753328, "digest": DIGEST,
                "details": {
                    "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8.0B",
                    "quantization_level": "Q4_K_M",
                },
            },
            {"name": "gpt-oss:120b-cloud", "size": 384, "digest": DIGEST, "remote_model": "gpt-oss:120b"},
            "not a model",
        ]
    },
    "/api/ps": {
        "models": [
            {
                "name": "llama3.1:8b", "model": "llama3.1:8b", "size": 6654289920, "digest": DIGEST,
                "details": {}, "expires_at": "2026-08-21T10:05:00Z", "size_vram": 5000000000, "context_length": 4096,
            }
        ]
    },
}  # fmt: skip


class Ollama(BaseHTTPRequestHandler):
    """Answers questions; whatever would change something is an error of the program."""

    shown: Any = SHOWN
    asked: list[str] = []

    def do_GET(self) -> None:
        self.reply(ANSWERS.get(self.path))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(self.shown if self.path == "/api/show" and asked["model"] != "none" else None)

    def reply(self, answer: Any) -> None:
        self.asked.append(f"{self.command} {self.path}")
        body = json.dumps(answer or {"error": "not found"}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ollama)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    Ollama.shown = SHOWN
    Ollama.asked = []
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
    yield server_address()
    server.shutdown()
    server.server_close()


def test_version_models_and_memory_are_what_the_server_says(ollama: Address) -> None:
    assert version(ollama) == "0.33.0"
    first, cloud = served(ollama)
    assert (first.name, first.size_bytes, first.file_type) == ("llama3.1:8b", 4920753328, "Q4_K_M")
    assert (first.family, first.parameter_size, first.format) == ("llama", "8.0B", "gguf")
    assert (first.remote, cloud.remote) == (False, True)
    (entry,) = loaded(ollama)
    assert (entry.name, entry.size_bytes, entry.size_vram_bytes) == ("llama3.1:8b", 6654289920, 5000000000)
    assert entry.context_length == 4096


def test_a_model_is_shown_with_its_tensors(ollama: Address) -> None:
    model = show_model(ollama, "llama3.1:8b")
    assert (model.id, model.hidden_size, model.vocab_size, model.notes) == ("ollama:llama3.1:8b", 32, 64, ())
    by_name = {tensor.name: tensor for tensor in model.stored_tensors}
    assert by_name["blk.0.attn_k.weight"].shape == (16, 32)
    assert by_name["blk.0.attn_k.weight"].nbytes == 16 * 34
    assert model.source == f"Ollama at {ollama}: llama3.1:8b"


def test_the_server_is_asked_where_no_store_has_the_model(ollama: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model("ollama:llama3.1:8b") == show_model(ollama, "llama3.1:8b")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(Missing, match="is not in the store of Ollama"):
        resolve_model("ollama:llama3.1:8b")


def test_nothing_but_questions_is_sent(ollama: Address) -> None:
    version(ollama), served(ollama), loaded(ollama), show_model(ollama, "m")
    assert Ollama.asked == ["GET /api/version", "GET /api/tags", "GET /api/ps", "POST /api/show"]


def test_another_server_on_the_port_is_told_apart(ollama: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/api/version", {"name": "something else"})
    with pytest.raises(BadInput, match="is not Ollama: it has no version"):
        version(ollama)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ({"details": {}}, "comes without metadata and tensors"),
        ({**SHOWN, "tensors": [7]}, "7 is no tensor, expected name, type and shape"),
        ({**SHOWN, "tensors": [{"name": "a", "type": "Q99", "shape": [1]}]}, "is no tensor"),
        ({**SHOWN, "tensors": [{"name": "a", "type": "F32", "shape": [-1]}]}, "is no tensor"),
        ({**SHOWN, "tensors": [{"name": "a", "type": "F32", "shape": [1] * 9}]}, "is no tensor"),
        ({**SHOWN, "model_info": {"general.architecture": "llama"}}, r"llama\.block_count is missing"),
        ({**SHOWN, "model_info": {}}, r"general\.architecture is missing"),
        ({**SHOWN, "tensors": []}, "holds no weights"),
    ],
)
def test_odd_answers_are_one_sentence(ollama: Address, shown: object, sentence: str) -> None:
    Ollama.shown = shown
    with pytest.raises(BadInput, match=sentence) as caught:
        show_model(ollama, "m")
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there(ollama: Address) -> None:
    with pytest.raises(BadInput, match="/api/show answers with status 404"):
        show_model(ollama, "none")


def test_lists_may_hold_anything(ollama: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/api/tags", {"models": None, "x": 1})
    monkeypatch.setitem(ANSWERS, "/api/ps", {"models": [{"size": -1, "size_vram": "x", "context_length": True}]})
    assert served(ollama) == ()
    (entry,) = loaded(ollama)
    assert (entry.size_bytes, entry.size_vram_bytes, entry.context_length) == (None, None, None)
