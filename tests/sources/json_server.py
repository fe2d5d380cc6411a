"""A program on this machine that answers with JSON."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vram_advisor.sources.local_http import Address


@contextmanager
def serving(answers: dict[str, Any], token: str | None = None) -> Iterator[tuple[Address, list[str]]]:
    """Where it listens, and what it was asked; other paths, and callers without the token, are refused."""
    asked: list[str] = []

    class Program(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            known = self.path in answers and (token is None or self.headers["Authorization"] == f"Bearer {token}")
            body = json.dumps(answers[self.path] if known else {"error": "no"}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Program)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield Address("127.0.0.1", server.server_port), asked
    finally:
        server.shutdown()
        server.server_close()
