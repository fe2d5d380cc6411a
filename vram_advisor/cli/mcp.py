"""``vram-advisor mcp``: the questions of the command line as tools of an agent."""

from __future__ import annotations

import sys

from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import narrate
from vram_advisor.units.errors import Missing


def mcp() -> int:
    """Serve check, advise and lists to an agent over standard input and output (MCP); needs the extra mcp."""
    try:
        from vram_advisor.mcp.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "anyio"):
            raise
        raise Missing("The MCP server needs an extra: pip install 'vram-advisor[mcp]'.") from None
    if sys.stdin is not None and sys.stdin.isatty():
        narrate("waiting for a client on standard input; a program that speaks MCP starts this command itself.")
    serve()
    return ExitCode.ANSWERED
