"""The hub, played by a small HTTP server on this machine."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vram_advisor.sources.hub import fetch_model
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, Missing, NotModelled

constants = pytest.importorskip("huggingface_hub.constants")
utils = pytest.importorskip("huggingface_hub.utils")

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 256,
    "dtype": "bfloat16",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: metadata of a repository, and its config.json with the headers of the cache."""

    asked: list[tuple[str, str | None]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append((f"{self.command} {path}", self.headers.get("Authorization")))
        repository = path.removeprefix("/api/models/").removesuffix("/resolve/main/config.json").strip("/")
        config = path.endswith("config.json")
        owner, _, name = repository.partition("/")
        if owner == "absent":
            return self.answer(404, {"X-Error-Code": "RepoNotFound"}, {"error": "Repository not found"})
        if owner == "private":
            return self.answer(401, {"X-Error-Message": "Invalid username or password."}, {"error": "unauthorized"})
        if owner == "broken":
            return self.answer(503, {}, {"error": "busy"})
        if config and owner == "gated":
            return self.answer(403, {"X-Error-Code": "GatedRepo"}, {"error": "gated"})
        if config and owner == "bare":
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, {"error": "no file"})
        if config:
            body: Any = {**CONFIG, "model_type": "lama"} if name == "unknown" else CONFIG
            return self.answer(200, {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}, body)
        safetensors = {"parameters": {"BF16": 100_000, "F32": 10, "I32": 8}, "total": 100_018}
        return self.answer(200, {}, {"id": repository, "safetensors": safetensors if name != "pickled" else None})

    def answer(self, status: int, headers: dict[str, str], body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for key, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    Hub.asked = []
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    yield server
    server.shutdown()
    server.server_close()


def test_a_repository_is_its_configuration_and_the_bytes_the_hub_knows(hub: ThreadingHTTPServer) -> None:
    model = fetch_model("owner/name")
    assert (model.id, model.architecture, model.hidden_size) == ("owner/name", "llama", 64)
    assert model.stored_bytes == (("BF16", 200_000), ("F32", 40), ("I32", 32))
    assert model.parameters_published == 100_018
    assert model.source == "Hugging Face: owner/name"
    assert resolve_model("owner/name") == model


def test_nothing_but_metadata_and_configuration_is_asked_for(hub: ThreadingHTTPServer) -> None:
    fetch_model("owner/name")
    paths = {request.split()[1] for request, _ in Hub.asked}
    assert paths == {"/api/models/owner/name", "/owner/name/resolve/main/config.json"}


def test_the_token_goes_along(hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    fetch_model("owner/name")
    assert {token for _, token in Hub.asked} == {"Bearer hf_test"}


def test_a_repository_without_safetensors_has_no_stored_bytes(hub: ThreadingHTTPServer) -> None:
    model = fetch_model("owner/pickled")
    assert (model.stored_bytes, model.parameters_published) == ((), None)


@pytest.mark.parametrize(
    ("repository", "error", "sentence"),
    [
        ("absent/name", BadInput, "absent/name is not on the hub, or it is private"),
        ("private/name", BadInput, "private/name is not on the hub, or it is private and HF_TOKEN does not open it"),
        ("gated/name", BadInput, "gated/name is gated: accept its terms on the hub and set HF_TOKEN"),
        ("bare/name", BadInput, r"bare/name has no config\.json on the hub"),
        ("broken/name", Missing, "broken/name is not in the local cache and the hub cannot be reached"),
        ("owner/unknown", NotModelled, r"owner/unknown: config\.json: model_type 'lama' is not a modelled"),
        ("a--b/name", BadInput, "'a--b/name' is not a repository name, expected owner/name"),
    ],
)
def test_every_refusal_is_one_sentence(
    hub: ThreadingHTTPServer, repository: str, error: type[Exception], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        fetch_model(repository)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


def test_the_cache_answers_where_the_hub_does_not(hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    online = fetch_model("owner/name")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    cached = fetch_model("owner/name")
    assert (cached.blocks, cached.source) == (online.blocks, "Hugging Face: owner/name, from the local cache")
    with pytest.raises(Missing, match="owner/other is not in the local cache and the hub cannot be reached"):
        fetch_model("owner/other")


def test_offline_asks_nobody(hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_model("owner/name")
    Hub.asked = []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    utils.close_session()
    assert fetch_model("owner/name").hidden_size == 64
    with pytest.raises(Missing, match="owner/other is not in the local cache and HF_HUB_OFFLINE is set"):
        fetch_model("owner/other")
    monkeypatch.undo()
    utils.close_session()
    assert Hub.asked == []


def test_a_name_like_one_of_the_catalogue_is_pointed_to(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="absent/Meta-Llama-3.1-8B is not on the hub.*; the catalogue has llama-3.1-8b"):
        resolve_model("absent/Meta-Llama-3.1-8B")


def test_without_the_library_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(Missing, match="needs huggingface_hub: pip install huggingface_hub"):
        fetch_model("owner/name")


def test_a_model_of_the_catalogue_needs_no_library() -> None:
    script = (
        "import sys; from vram_advisor.sources.models import resolve_model; resolve_model('7b'); "
        "print(sorted({'huggingface_hub', 'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
