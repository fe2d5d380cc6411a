"""GGUF repositories of the hub, played by a small HTTP server that answers ranges."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gguf_files import Typed, write_gguf
from test_gguf_model import metadata_of, tensors_of

from vram_advisor.sources import hub_answers, hub_ranges
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.gguf_reference import Reference, gguf_reference
from vram_advisor.sources.models import resolve_model
from vram_advisor.units.errors import BadInput, Missing

constants = pytest.importorskip("huggingface_hub.constants")
utils = pytest.importorskip("huggingface_hub.utils")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LIMIT = 30_000_000


@dataclass(frozen=True)
class Remote:
    """A file of the hub: its beginning, and a hole up to its size."""

    head: bytes
    size: int

    def part(self, begin: int, end: int) -> bytes:
        """Bytes from one place up to another."""
        end = min(end, self.size)
        return self.head[begin:end].ljust(end - begin, b"\0")


def whole(data: bytes) -> Remote:
    return Remote(data, len(data))


LISTS: dict[str, tuple[bytes, bytes, float]] = {
    "list-endless": (b"{", b'"a":1,' * 10_000, 0.0),
    "list-slow": (b"{", b" ", 0.05),
    "list-deep": (b'{"siblings":' + b"[" * 100_000, b"", 0.0),
    "list-odd": (b'{"siblings": [1, {"rfilename": 5}, {"rfilename": "\\u001b[31m.gguf"}], "sha": []}', b"", 0.0),
    "list-page": (b"<html>", b"", 0.0),
}
"""How the answer about the files of a repository begins, what follows without end, and after how long [s]."""


class Hub(BaseHTTPRequestHandler):
    """Lists the files of a repository and gives parts of them; the owner of a repository says how it misbehaves."""

    files: dict[str, "Remote"] = {}
    asked: list[tuple[str, str | None, str | None]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
        owner = path.removeprefix("/api/models/").strip("/").partition("/")[0]
        if owner == "absent":
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if path.startswith("/api/"):
            if owner == "busy":
                return self.answer(503, b"{}")
            if owner in LISTS:
                return self.pour(*LISTS[owner])
            siblings = [{"rfilename": name} for name in ("README.md", *self.files)]
            return self.answer(200, json.dumps({"id": "owner/m-GGUF", "sha": COMMIT, "siblings": siblings}).encode())
        if owner == "gated":
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        if owner == "moved":
            return self.answer(302, b"", {"Location": self.path})
        name = path.partition("/resolve/")[2].partition("/")[2]
        file = self.files[name]
        begin, end = (int(number) for number in self.headers["Range"].removeprefix("bytes=").split("-"))
        if owner == "whole":
            return self.endless()
        if owner == "wrong":
            begin += 1
        part = file.part(begin, end + 1)
        place = f"bytes {begin}-{begin + len(part) - 1}/{file.size}"
        if owner == "slow":
            return self.drip(place, len(part))
        if owner == "short":
            place, part = f"bytes {begin}-{begin + len(part) - 1}/{file.size}", part[:1000]
        return self.answer(206, part, {"Content-Range": place})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def pour(self, begin: bytes, piece: bytes, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            self.wfile.write(begin)
            for _ in range(1000 if piece else 0):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(LIMIT >> 16):
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass

    def drip(self, place: str, length: int) -> None:
        self.send_response(206)
        self.send_header("Content-Range", place)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(b"G")
                self.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    Hub.asked = []
    Hub.files = {}
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    yield Hub
    utils.close_session()
    server.shutdown()
    server.server_close()


def header(tmp_path: Path, tokens: int = 1000, **changes: object) -> Remote:
    """The beginning of a small model, with as much of a hole behind it as the checks ask for."""
    model = find_model("gemma-3-270m")
    tensors = [(name, shape, kind) for name, shape, kind in tensors_of(model, "Q8_0")]
    metadata = metadata_of("gemma-3-1b") | {
        "gemma3.block_count": 18, "gemma3.embedding_length": 640, "gemma3.feed_forward_length": 2048,
        "gemma3.attention.head_count": 4, "gemma3.attention.head_count_kv": 1, "gemma3.context_length": 32768,
        "tokenizer.ggml.tokens": ["token"] * tokens, **changes,
    }  # fmt: skip
    path = write_gguf(tmp_path / "written.gguf", metadata, tensors)
    with path.open("rb") as file:
        return Remote(file.read(3_000_000), path.stat().st_size)


def test_a_header_comes_by_ranges_and_the_weights_stay_where_they_are(hub: type[Hub], tmp_path: Path) -> None:
    hub.files = {"m-Q8_0.gguf": header(tmp_path, tokens=200_000)}
    model = resolve_model("owner/m-GGUF:Q8_0")
    assert model.blocks == find_model("gemma-3-270m").blocks
    assert (model.id, model.source) == ("owner/m-GGUF:m-Q8_0", "Hugging Face: owner/m-GGUF, m-Q8_0.gguf")
    assert sum(tensor.nbytes for tensor in model.stored_tensors) > 280e6
    ranges = [asked for path, asked, _ in hub.asked if not path.startswith("/api")]
    assert ranges == ["bytes=0-1048575", "bytes=1048576-2097151", "bytes=2097152-4194303"]


@pytest.mark.parametrize(
    "name",
    [
        "owner/m-GGUF", "hf.co/owner/m-GGUF", "owner/m-GGUF:q4_k_m", "hf.co/owner/m-GGUF:Q4_K_M",
        "https://huggingface.co/owner/m-GGUF/blob/main/m-Q4_K_M.gguf",
        "https://huggingface.co/owner/m-GGUF/resolve/main/m-Q4_K_M.gguf?download=true",
        "hf.co/owner/m-GGUF/m-Q4_K_M.gguf",
    ],
)  # fmt: skip
def test_people_write_one_file_in_many_ways(hub: type[Hub], tmp_path: Path, name: str) -> None:
    hub.files = dict.fromkeys(("a-first.gguf", "mmproj-m-Q4_K_M.gguf", "m-Q4_K_M.imatrix.gguf"), whole(b""))
    hub.files["m-Q4_K_M.gguf"] = header(tmp_path)
    assert resolve_model(name).source == "Hugging Face: owner/m-GGUF, m-Q4_K_M.gguf"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("owner/name", None),
        ("llama3.1:8b", None),
        ("./owner/name.gguf", None),
        ("folder/sub/name.gguf", None),
        ("owner/name:Q8_0", Reference("owner/name", tag="Q8_0")),
        ("HF.co/owner/name", Reference("owner/name")),
        ("hf.co/owner/name/sub/x.gguf", Reference("owner/name", "sub/x.gguf")),
        ("https://hf.co/o/n/blob/v2/x.gguf", Reference("o/n", "x.gguf", revision="v2")),
        ("a/" * 2000, None),
    ],
)
def test_what_is_meant_as_a_gguf_repository(text: str, meant: Reference | None) -> None:
    assert gguf_reference(text) == meant


def test_parts_are_read_one_by_one(hub: type[Hub], tmp_path: Path) -> None:
    split = {"split.count": Typed("u16", 2), "split.no": Typed("u16", 0)}
    second = write_gguf(
        tmp_path / "2.gguf",
        {"split.count": Typed("u16", 2), "split.no": Typed("u16", 1)},
        [("blk.0.extra.weight", (32, 32), "F16")],
    ).read_bytes()
    hub.files = {"Q8_0/m-00001-of-00002.gguf": header(tmp_path, **split), "Q8_0/m-00002-of-00002.gguf": whole(second)}
    model = resolve_model("owner/m-GGUF:Q8_0")
    assert model.stored_tensors[-1].name == "blk.0.extra.weight"


def test_the_token_goes_along(hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    hub.files = {"m-Q8_0.gguf": header(tmp_path)}
    resolve_model("owner/m-GGUF")
    assert {token for _, _, token in hub.asked} == {"Bearer hf_test"}


def test_a_file_in_the_cache_is_read_there(hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"m-Q8_0.gguf": whole(b"")}
    repository = tmp_path / "cache" / "models--owner--m-GGUF"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    header(tmp_path)
    (tmp_path / "written.gguf").rename(snapshot / "m-Q8_0.gguf")
    assert resolve_model("owner/m-GGUF").hidden_size == 640
    assert [path for path, _, _ in hub.asked] == ["/api/models/owner/m-GGUF"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve_model("owner/m-GGUF").source.endswith("m-Q8_0.gguf, from the local cache")
    with pytest.raises(Missing, match="owner/n-GGUF is not in the local cache and the hub cannot be reached"):
        resolve_model("owner/n-GGUF")


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("absent/m-GGUF", BadInput, "absent/m-GGUF is not on the hub, or it is private"),
        ("busy/m-GGUF", Missing, "busy/m-GGUF is not in the local cache and the hub cannot be reached"),
        ("gated/m-GGUF", BadInput, "gated/m-GGUF is gated or private: accept its terms on the hub and set HF_TOKEN"),
        ("owner/m-GGUF:Q2_K", BadInput, "has no file of the type Q2_K; it has m-Q8_0"),
        ("hf.co/owner/m-GGUF/x.gguf", BadInput, r"has no file 'x\.gguf'; it has m-Q8_0"),
        ("whole/m-GGUF", Missing, "the hub answered 200 to a request for a part"),
        ("wrong/m-GGUF", Missing, "the hub answered 206 to a request for a part"),
        ("moved/m-GGUF", Missing, "the hub cannot be reached"),
        ("slow/m-GGUF", Missing, "comes too slowly"),
        ("short/m-GGUF", Missing, "broke off after|the hub cannot be reached"),
    ],
)
def test_every_refusal_is_one_sentence(
    hub: type[Hub],
    tmp_path: Path,
    name: str,
    error: type[Exception],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_ranges, "PATIENCE_S", 0.3)
    hub.files = {"m-Q8_0.gguf": whole(header(tmp_path).head[:2_000_000])}
    with pytest.raises(error, match=sentence) as caught:
        resolve_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("list-endless/m-GGUF", Missing, "the hub answers with more than 1,048,576 bytes"),
        ("list-slow/m-GGUF", Missing, "the hub does not finish its answer within"),
        ("list-deep/m-GGUF", BadInput, "nested too deeply|is not JSON"),
        ("list-odd/m-GGUF", BadInput, "list-odd/m-GGUF has no GGUF file on the hub"),
        ("list-page/m-GGUF", BadInput, "the answer of the hub is not JSON"),
    ],
)
def test_a_list_of_files_may_be_anything(
    hub: type[Hub], name: str, error: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_answers, "MAX_ANSWER_BYTES", 1 << 20)
    monkeypatch.setattr(hub_answers, "PATIENCE_S", 0.5)
    start = time.perf_counter()
    with pytest.raises(error, match=sentence) as caught:
        resolve_model(name)
    assert str(caught.value).isprintable() and time.perf_counter() - start < 5


def test_what_the_hub_gives_is_distrusted_as_a_file_is(hub: type[Hub], tmp_path: Path) -> None:
    hub.files = {"m-Q8_0.gguf": whole(header(tmp_path).head[:2_000_000])}
    with pytest.raises(BadInput, match=r"owner/m-GGUF: m-Q8_0\.gguf is cut off"):
        resolve_model("owner/m-GGUF")
    hub.files = {"m-Q8_0.gguf": whole(b"<html>" * 100)}
    with pytest.raises(BadInput, match="is not a GGUF file"):
        resolve_model("owner/m-GGUF")


def test_a_repository_without_gguf_says_so(hub: type[Hub]) -> None:
    with pytest.raises(BadInput, match="owner/m-GGUF has no GGUF file on the hub"):
        resolve_model("owner/m-GGUF")
