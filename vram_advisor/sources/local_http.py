"""One question to a program on this machine or in its network: JSON, a short time, no redirects, no proxies."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from vram_advisor.sources.json_files import parse_object
from vram_advisor.units.errors import BadInput, Missing

TIMEOUT_S = 1.0
"""How long a program may take to take the call, and between two pieces of its answer [s]."""
PATIENCE_S = 5.0
"""How long an answer may take in all [s]."""
MAX_ANSWER_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a program listens."""

    host: str
    port: int
    path: str = ""
    secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


def parse_address(text: str, port: int) -> Address:
    """An address as variables have it: a host, a port, both, or a URL; all interfaces mean this machine.

    Raises BadInput.
    """
    stated = text.strip().strip("\"'")
    scheme, split, rest = stated.partition("://")
    scheme = scheme.lower() if split else ""
    try:
        parts = urlsplit(f"//{rest if split else stated}")
        own = {"http": 80, "https": 443}.get(scheme, port)
        found = Address(parts.hostname or "127.0.0.1", parts.port or own, parts.path.rstrip("/"), scheme == "https")
    except ValueError:
        raise BadInput(f"{stated[:80]!r} is not an address, expected host:port") from None
    if scheme not in ("", "http", "https") or not found.host.isprintable() or any(c in found.host for c in " \\@"):
        raise BadInput(f"{stated[:80]!r} is not an address, expected host:port")
    if found.host in ("0.0.0.0", "::", "localhost"):
        return Address("127.0.0.1", found.port, found.path, found.secure)
    return found


def ask(
    address: Address, path: str, body: Mapping[str, object] | None = None, token: str | None = None
) -> Mapping[str, object]:
    """The JSON object that a program answers with.

    Args:
        address: where it listens.
        path: what is asked for.
        body: sent by POST; None: GET.
        token: sent as bearer.

    Raises:
        Missing: nobody answers, or not in time.
        BadInput: the answer is not a JSON object, or a refusal.
    """
    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_S)
    headers = {"Accept": "application/json", "User-Agent": "vram-advisor"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    where = f"{address}{path}"
    expired, begun = threading.Event(), False
    try:
        connection.connect()
        timer = threading.Timer(PATIENCE_S, hang_up, (connection.sock, expired))
        timer.start()
        try:
            connection.request("GET" if body is None else "POST", f"{address.path}{path}", data, headers)
            with connection.getresponse() as answer:
                begun = True
                content = read_all(answer, where)
        finally:
            timer.cancel()
    except OSError as error:
        # An answer that was hung up here may end in an error of its own.
        if not (begun and expired.is_set()):
            raise Missing(f"{where} does not answer: {error.strerror or 'timed out'}") from None
    except (http.client.HTTPException, ValueError):
        raise Missing(f"{where} does not answer in HTTP") from None
    finally:
        connection.close()
    if expired.is_set():
        raise Missing(f"{where} does not finish its answer within {PATIENCE_S:.0f} s")
    if answer.status != http.client.OK:
        raise BadInput(f"{where} answers with status {answer.status}")
    return parse_object(content, where)


def hang_up(line: socket.socket, expired: threading.Event) -> None:
    """End an answer that takes too long: a limit for each piece of it alone lets it go on forever."""
    expired.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def read_all(answer: http.client.HTTPResponse, where: str) -> bytes:
    """The body of an answer. Raises BadInput where it is too large."""
    content = bytearray()
    while piece := answer.read1(1 << 16):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise BadInput(f"{where} answers with more than {MAX_ANSWER_BYTES:,} bytes")
    return bytes(content)
