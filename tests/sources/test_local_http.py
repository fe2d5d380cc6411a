"""Questions to programs on this machine, and answers that are wrong in every way."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from vram_advisor.sources import local_http
from vram_advisor.sources.local_http import Address, ask, parse_address
from vram_advisor.units.errors import BadInput, Missing

Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer) -> Iterator[Address]:
    """A socket that answers one call after the other with whatever a test writes."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(5)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Address("127.0.0.1", listening.getsockname()[1])
    finally:
        # a thread that waits for a call is woken by this, by closing it is not
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        listening.close()


def said(text: str) -> Answer:
    return lambda connection: connection.sendall(text.encode())


def ok(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def drip(head: str) -> Answer:
    """One byte after the other, without end."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head.encode())
        while True:
            connection.sendall(b" ")
            time.sleep(0.01)

    return answer


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"[" * 65536)


def test_an_object_is_the_answer() -> None:
    with server(said(ok('{"version": "0.33.0"}'))) as address:
        assert ask(address, "/api/version") == {"version": "0.33.0"}
        assert ask(address, "/api/show", {"model": "m"}) == {"version": "0.33.0"}


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (said(ok("[1]")), BadInput, "holds a JSON list, expected an object"),
        (said(ok("<html>")), BadInput, "is not JSON"),
        (said(ok('{"a": NaN}')), BadInput, "NaN is not a number"),
        (said(ok("[" * 100_000)), BadInput, "nested too deeply|is not JSON"),
        (said(ok("{" + '"a":[' * 100_000)), BadInput, "holds more than|nested too deeply|is not JSON"),
        (said("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"), BadInput, "answers with status 404"),
        (
            said("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            BadInput,
            "status 302",
        ),
        (said("SSH-2.0-OpenSSH\r\n"), Missing, "does not answer"),
        (said(""), Missing, "does not answer"),
        (said("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 5000), Missing, "does not answer"),
        (said("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), BadInput, "is not JSON"),
        (drip("HTTP/1.1 200 OK\r\nX: "), Missing, "does not (finish its )?answer"),
        (drip("HTTP/1.1 200 OK\r\n\r\n"), Missing, "does not finish its answer within"),
        (lambda connection: time.sleep(0.8), Missing, "does not answer"),
        (endless, BadInput, "answers with more than 1,048,576 bytes"),
    ],
)
def test_every_other_answer_is_one_sentence_in_a_short_time(
    answer: Answer, error: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_http, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(local_http, "PATIENCE_S", 0.4)
    monkeypatch.setattr(local_http, "MAX_ANSWER_BYTES", 1 << 20)
    start = time.perf_counter()
    with server(answer) as address, pytest.raises(error, match=sentence) as caught:
        ask(address, "/x")
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 5


def test_nobody_answers() -> None:
    with pytest.raises(Missing, match=r"http://127\.0\.0\.1:9/x does not answer: Connection refused"):
        ask(Address("127.0.0.1", 9), "/x")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("box.lan", "http://box.lan:11434"),
        ("box.lan:1234", "http://box.lan:1234"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("http://box.lan", "http://box.lan:80"),
        ("https://box.lan/ollama/", "https://box.lan:443/ollama"),
        (' "http://localhost:99" ', "http://127.0.0.1:99"),
    ],
)
def test_addresses_as_people_write_them(text: str, address: str) -> None:
    assert str(parse_address(text, 11434)) == address


@pytest.mark.parametrize("text", ["box:port", "box:99999", "ftp://box", "a b", "[::1", "http://u@h:x", "a\x00b"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput, match="is not an address, expected host:port"):
        parse_address(text, 1)
