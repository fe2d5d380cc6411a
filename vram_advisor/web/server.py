"""The same app in a browser: each page that is opened runs one, through textual-serve."""

from __future__ import annotations

import ipaddress
import shlex
import socket
import sys
from urllib.parse import urlsplit

from vram_advisor.units.errors import Missing

LOCAL_NAMES = ("localhost", "localhost.localdomain")


def is_local(host: str) -> bool:
    """Whether only this machine can reach a host.

    >>> is_local("localhost"), is_local("127.0.0.1"), is_local("0.0.0.0"), is_local("::1")
    (True, True, False, True)
    """
    if host.lower() in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def warning(host: str, port: int) -> str | None:
    """A sentence where others than this machine can reach the page."""
    if is_local(host):
        return None
    return (
        f"Whoever can reach {host}:{port} can use this app without a password: read the names of models, processes and "
        "GPUs of this machine, open paths on it, and start calibrations on its GPU. Without --host it is this machine alone."
    )


def command(theme: str | None, ascii: bool) -> str:
    """The command line that each page runs."""
    words = [sys.executable, "-m", "vram_advisor", "tui"]
    words += ["--theme", theme] if theme else []
    words += ["--ascii"] if ascii else []
    return shlex.join(words)


def address(host: str, port: int) -> str:
    """What browsers are to be sent to: every address of a machine is none that a browser can open."""
    unspecified = host in ("0.0.0.0", "::", "")
    name = socket.gethostname() if unspecified else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def is_welcome(origin: str | None, asked: str, public_url: str, host: str) -> bool:
    """Whether a page may open the app: only one that this server sent.

    Browsers let any page connect to any address, also to this machine; what tells them apart is the origin that they
    state. The name in the request has to be local too, or a foreign name could be made to point here.

    Args:
        origin: header Origin; None: no browser.
        asked: header Host.
        public_url: address of the page.
        host: address that is listened on.
    """
    if origin is None:
        return True
    page, here, mine = urlsplit(origin), urlsplit(f"//{asked}"), urlsplit(public_url)
    if page.netloc == mine.netloc:
        return True
    if is_local(host):
        local = is_local(page.hostname or "") and is_local(here.hostname or "")
        return local and page.port == mine.port
    return page.netloc == here.netloc


def serve(host: str, port: int, public_url: str | None, theme: str | None, ascii: bool) -> None:
    """Serve until interrupted.

    Raises:
        Missing: the extra is not installed, or the address cannot be had.
    """
    try:
        from vram_advisor.web.guarded import GuardedServer
    except ImportError:
        raise Missing("The browser needs an extra: pip install 'vram-advisor[web]'.") from None
    url = (public_url or address(host, port)).rstrip("/")
    try:
        GuardedServer(command(theme, ascii), host=host, port=port, title="vram-advisor", public_url=url).serve()
    except OSError as error:
        raise Missing(f"{host}:{port} cannot be served: {error.strerror or error}.") from None
