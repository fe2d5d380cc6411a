"""``vram-advisor tui``: the terminal app, which ``vram-advisor`` alone opens in a terminal."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import print_text


def tui(
    *,
    theme: Annotated[
        str | None, Parameter(help="Colours: calm, okabe-ito (for any colour vision), or of Textual.")
    ] = None,
    ascii: Annotated[bool, Parameter(negative=(), help="No lines around panels, no characters beyond ASCII.")] = False,
) -> int:
    """Open the terminal app: does it fit, why, and what next, on one screen."""
    from vram_advisor.tui import run

    copied = run(theme, ascii)
    if copied is not None:
        # The clipboard of a terminal may be closed to programs: what was copied is left on the screen too.
        print_text(f"{copied}\n")
    return ExitCode.ANSWERED
