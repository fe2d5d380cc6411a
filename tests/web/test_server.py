"""Who may open the page, and what is said where others can."""

import sys

import pytest

from vram_advisor.cli.app import run
from vram_advisor.web import server
from vram_advisor.web.server import address, command, is_local, is_welcome, warning

LOCAL = ("127.0.0.1", "http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("origin", "asked", "welcome"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://localhost:8000", "127.0.0.1:8000", True),
        (None, "127.0.0.1:8000", True),
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://localhost:3000", "127.0.0.1:8000", False),
        ("http://evil.example:8000", "evil.example:8000", False),
        ("null", "127.0.0.1:8000", False),
    ],
)
def test_only_pages_of_its_own_open_the_app(origin: str | None, asked: str, welcome: bool) -> None:
    host, url = LOCAL
    assert is_welcome(origin, asked, url, host) is welcome


def test_behind_a_proxy_its_public_address_is_welcome() -> None:
    assert is_welcome("https://lab.example", "127.0.0.1:8000", "https://lab.example", "127.0.0.1")
    assert not is_welcome("https://other.example", "127.0.0.1:8000", "https://lab.example", "127.0.0.1")


def test_on_a_network_the_page_has_to_be_of_the_same_host() -> None:
    assert is_welcome("http://box:8000", "box:8000", "http://box:8000", "0.0.0.0")
    assert is_welcome("http://192.168.1.7:8000", "192.168.1.7:8000", "http://box:8000", "0.0.0.0")
    assert not is_welcome("http://evil.example", "192.168.1.7:8000", "http://box:8000", "0.0.0.0")


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("box", False)],
)
def test_exposure_is_said(host: str, local: bool) -> None:
    assert is_local(host) is local
    said = warning(host, 8000)
    assert (said is None) is local
    assert said is None or "without a password" in said


def test_browsers_are_sent_where_they_can_go() -> None:
    assert address("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert address("::1", 8000) == "http://[::1]:8000"
    assert "0.0.0.0" not in address("0.0.0.0", 8000)


def test_a_page_runs_this_program() -> None:
    assert command("okabe-ito", True) == f"{sys.executable} -m vram_advisor tui --theme okabe-ito --ascii"


def test_without_the_extra_a_sentence_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    monkeypatch.delitem(sys.modules, "vram_advisor.web.guarded", raising=False)
    assert run(["serve"]) == 3
    assert "vram-advisor[web]" in capsys.readouterr().err


def test_a_warning_comes_before_the_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(server, "serve", lambda *_: None)
    assert run(["serve", "--host", "0.0.0.0"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "without a password" in captured.err
