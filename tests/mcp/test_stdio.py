"""The server as an agent meets it: a process that speaks the protocol, asked by the client of the official SDK."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters

from vram_advisor.cli.app import run
from vram_advisor.mcp.tools import TOOLS
from vram_advisor.report.schema import schema

EXAMPLES = Path(__file__).resolve().parents[1] / "exchange" / "examples"
ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "vram_advisor", "mcp")
LORA = {"method": "lora", "sequence_length": 1024}
WORDS = ("--method", "lora", "--sequence-length", "1024")
ASKED: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("check", {"model": "7b", "gpu": "rtx-5070", **LORA}, ("check", "--model", "7b", "--gpu", "rtx-5070", *WORDS)),
    ("check", {"model": "13b", "gpu": "rtx-5070", "quantization": "q4", "target_modules": ["q_proj", "v_proj"], **LORA},
     ("check", "--model", "13b", "--gpu", "rtx-5070", "--quantization", "q4", "--target-modules", "q_proj", "v_proj", *WORDS)),
    ("check", {"model": "7b", "gpu": "apple-m3-max-40c-64gb"}, ("check", "--model", "7b", "--gpu", "apple-m3-max-40c-64gb")),
    ("check", {"config": str(EXAMPLES / "axolotl.yaml"), "gpu": "h100-sxm", "micro_batch_size": 1},
     ("check", "--config", str(EXAMPLES / "axolotl.yaml"), "--gpu", "h100-sxm", "--micro-batch-size", "1")),
    ("advise", {"model": "13b", "gpu": "rtx-5070", "tokens": 10**7, "explain": True, **LORA},
     ("advise", "--model", "13b", "--gpu", "rtx-5070", "--tokens", "10000000", "--explain", *WORDS)),
    ("list_models", {"words": ["llama", "7b"]}, ("models", "llama", "7b")),
    ("list_models", {}, ("models",)),
    ("list_gpus", {"words": ["rtx", "50"]}, ("gpus", "rtx", "50")),
    ("list_gpus", {}, ("gpus",)),
    ("rank_gpus", {"model": "7b", "words": ["rtx"], "gpu": "rtx-3090", **LORA},
     ("gpus", "rtx", "--for", "7b", "--gpu", "rtx-3090", *WORDS)),
    ("fit_models", {"words": ["llama-3"], "gpu": "rtx-5070", **LORA},
     ("models", "llama-3", "--fit", "--gpu", "rtx-5070", *WORDS)),
    ("list_local_models", {"context_length": 8192, "gpu": "rtx-5070"},
     ("models", "--local", "--context-length", "8192", "--gpu", "rtx-5070")),
    ("list_calibrations", {}, ("calibrations",)),
]  # fmt: skip
"""Calls, and the command lines that ask the same."""
MALFORMED: list[tuple[str, Any]] = [
    ("check", {}),
    ("check", {"model": None}),
    ("check", {"model": ["7b"]}),
    ("check", {"model": "x" * 2_000_000}),
    ("check", {"x" * 200_000: 1}),
    ("check", {"model": "7b", "sequence_length": "x" * 200_000}),
    ("check", {"model": "7b", "sequence_length": 10**400}),
    ("check", {"model": "7b", "sequence_length": -1}),
    ("check", {"model": "7b", "lora_dropout": float("nan")}),
    ("check", {"model": "7b", "method": "lora", "target_modules": ["q"] * 50_000}),
    ("check", {"model": "7b", "plan": {"lora_r": 8}}),
    ("check", {"model": "a\x00b\n\x1b[31m"}),
    ("check", {"model": "../../etc/passwd"}),
    ("check", {"config": "/dev/zero"}),
    ("check", {"config": "no/such/file.yaml"}),
    ("check", {"model": "7b", "gpu": "no-such-card"}),
    ("check", {"model": "7b", "gpu_index": 9}),
    ("advise", {"model": "7b", "gpu": "rtx-5070", "method": "lora", "dataset": "no/such/file.jsonl"}),
    ("detect", {"gpu": 1}),
    ("list_gpus", {"words": [1, None]}),
    ("rank_gpus", {}),
    ("fit_models", {"gpu": {"name": "rtx-5070"}}),
]


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without anybody's settings."""
    home = tmp_path_factory.mktemp("home")
    places = ("HOME", "HF_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | dict.fromkeys(
        places, str(home)
    )


@pytest.fixture(scope="module")
def agent(empty_home: dict[str, str]) -> Iterator[Any]:
    """Calls a coroutine function of a client that is connected to the server."""
    process = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=empty_home, cwd=ROOT)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(process, read_timeout_seconds=120)) as client,
    ):
        yield lambda method, *arguments: portal.call(getattr(client, method), *arguments)


def command_document(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> Any:
    capfd.readouterr()
    run([*words, "--json"])
    return json.loads(capfd.readouterr().out)


def test_every_tool_is_listed(agent: Any) -> None:
    tools = agent("list_tools").tools
    assert [tool.name for tool in tools] == list(TOOLS)
    assert {"check", "advise", "detect", "list_models", "list_gpus"} <= {tool.name for tool in tools}
    assert all(tool.annotations.read_only_hint for tool in tools)


@pytest.mark.parametrize(("name", "arguments", "words"), ASKED, ids=lambda value: str(value)[:40])
def test_a_tool_says_what_the_command_prints(
    name: str, arguments: dict[str, Any], words: tuple[str, ...], agent: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    result = agent("call_tool", name, arguments)
    assert not result.is_error
    assert result.structured_content == command_document(words, capfd)
    Draft202012Validator(schema(TOOLS[name].document)).validate(result.structured_content)
    (text,) = result.content
    assert text.text.strip() and len(text.text) < 8000


def test_this_machine_is_looked_at(agent: Any) -> None:
    result = agent("call_tool", "detect", {})
    Draft202012Validator(schema("detect")).validate(result.structured_content)
    assert result.structured_content["host"]["ram_total_bytes"] > 0


def test_every_tool_is_called() -> None:
    assert {name for name, _, _ in ASKED} | {"detect"} == set(TOOLS)


def test_a_verdict_is_a_sentence(agent: Any) -> None:
    said = agent("call_tool", "check", {"model": "7b", "method": "lora", "gpu": "rtx-5070"}).content[0].text
    assert "FITS: Q8 needs" in said and "Next: Run Q8: --quantization int8" in said


def test_a_verdict_is_explained(agent: Any) -> None:
    asked = {"model": "7b", "method": "lora", "gpu": "rtx-5070", "explain": True}
    said = agent("call_tool", "check", asked).content[0].text
    assert "Every product behind Q8" in said and "2,048 tokens" in said


def test_keys_that_were_not_understood_are_named(agent: Any) -> None:
    said = agent("call_tool", "check", {"config": str(EXAMPLES / "axolotl.yaml"), "gpu": "h100-sxm"}).content[0].text
    assert "not understood: my_own_key" in said


@pytest.mark.parametrize(("name", "arguments"), MALFORMED, ids=lambda value: str(value)[:40])
def test_a_malformed_call_is_an_error_in_one_sentence(name: str, arguments: Any, agent: Any) -> None:
    result = agent("call_tool", name, arguments)
    assert result.is_error and result.structured_content is None
    (text,) = result.content
    assert text.text and len(text.text) < 4100 and text.text.isprintable()
    assert not agent("call_tool", "list_gpus", {"words": ["4090"]}).is_error


def test_an_unknown_tool_is_an_error_of_the_protocol(agent: Any) -> None:
    for name in ("destroy", "x" * 1_000_000, ""):
        with pytest.raises(MCPError, match="There is no tool") as caught:
            agent("call_tool", name, {})
        assert caught.value.error.code == -32602 and len(caught.value.error.message) < 1000
    assert not agent("call_tool", "detect", {}).is_error


HELLO = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()


@pytest.fixture
def server(empty_home: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that has heard the greeting of a client."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(COMMAND, env=empty_home, cwd=ROOT, **pipes) as process:
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(HELLO).encode() + b"\n" + json.dumps(READY).encode() + b"\n")
            process.stdin.flush()
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_what_is_no_call_does_not_end_the_server(server: "subprocess.Popen[bytes]") -> None:
    lines = [
        b"", b"junk", b"\xff\xfe\x00", b"[]", b"{}", b'{"jsonrpc": "2.0"}', b"[" * 100_000,
        call(1), call(2, name=5), call(3, name="check", arguments=[1]), call(4, name="check", arguments="7b"),
        json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/destroy"}).encode(),
        call(6, name="list_gpus", arguments={"words": ["4090"]}),
    ]  # fmt: skip
    assert server.stdin and server.stdout and server.stderr
    server.stdin.write(b"\n".join(lines) + b"\n")
    server.stdin.flush()
    answers: dict[int, Any] = {}
    while 6 not in answers:
        answer = json.loads(server.stdout.readline())
        answers[answer["id"]] = answer
    assert all(answers[number]["error"]["code"] in (-32602, -32601) for number in range(1, 6))
    assert answers[6]["result"]["structuredContent"]["gpus"]
    server.stdin.close()
    assert server.wait(60) == 0 and b"Traceback" not in server.stderr.read()


def test_the_client_is_heard_while_an_answer_is_made(server: "subprocess.Popen[bytes]") -> None:
    assert server.stdin and server.stdout
    asked = {"model": "13b", "method": "full", "gpu": "rtx-5070"}
    ping = json.dumps({"jsonrpc": "2.0", "id": 8, "method": "ping"}).encode()
    server.stdin.write(call(7, name="advise", arguments=asked) + b"\n" + ping + b"\n")
    server.stdin.flush()
    assert [json.loads(server.stdout.readline())["id"] for _ in range(2)] == [8, 7]


def test_a_client_that_does_not_read_any_more_ends_it_quietly(server: "subprocess.Popen[bytes]") -> None:
    assert server.stdin and server.stdout and server.stderr
    server.stdout.close()
    server.stdin.write(call(1, name="list_gpus") + b"\n")
    server.stdin.close()
    assert server.wait(60) == 0
    assert server.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_it(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGINT)
    assert server.wait(60) == -signal.SIGINT
    assert server.stderr is not None and server.stderr.read() == b""


def test_without_the_sdk_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "vram_advisor.mcp.server", raising=False)
    assert run(["mcp"]) == 3
    out, err = capfd.readouterr()
    assert out == "" and err == "vram-advisor: The MCP server needs an extra: pip install 'vram-advisor[mcp]'.\n"
