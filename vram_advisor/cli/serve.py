"""``vram-advisor serve``: the terminal app in a browser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import narrate


def serve(
    *,
    host: Annotated[str, Parameter(help="Address to listen on; the default is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on.")] = 8000,
    public_url: Annotated[
        str | None, Parameter(help="Address that browsers use, where a proxy stands between.")
    ] = None,
    theme: Annotated[str | None, Parameter(help="Colours: calm, okabe-ito, or of Textual.")] = None,
    ascii: Annotated[bool, Parameter(negative=(), help="No lines around panels, no characters beyond ASCII.")] = False,
) -> int:
    """Show the terminal app in a browser; needs the extra web."""
    from vram_advisor.web.server import serve as run
    from vram_advisor.web.server import warning

    said = warning(host, port)
    if said is not None:
        narrate(said)
    run(host, port, public_url, theme, ascii)
    return ExitCode.ANSWERED
