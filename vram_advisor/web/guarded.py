"""textual-serve for pages of its own only. The only file that imports it."""

from __future__ import annotations

from aiohttp import web
from rich.console import Console
from textual_serve.server import Server

from vram_advisor.web.server import is_welcome


class GuardedServer(Server):
    """Refuses pages of other sites, and tells its story on standard error."""

    def __init__(self, command: str, *, host: str, port: int, title: str, public_url: str) -> None:
        super().__init__(command, host=host, port=port, title=title, public_url=public_url)
        self.console = Console(stderr=True)

    async def on_startup(self, app: web.Application) -> None:
        """Say where it is."""
        self.console.print(f"vram-advisor is on {self.public_url} until Ctrl+C.", highlight=False)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Open the app for a page that this server sent."""
        if not is_welcome(request.headers.get("Origin"), request.host, self.public_url, self.host):
            raise web.HTTPForbidden(text="This page was not sent by vram-advisor.")
        return await super().handle_websocket(request)
