"""What the parser of options complains about, in one sentence that names the option."""

from __future__ import annotations

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, RepeatArgumentError, UnusedCliTokensError

from vram_advisor.units.record import allowed, choices, complaint


def sentence(error: CycloptsError) -> str:
    """The error in one line."""
    if isinstance(error, CoercionError) and error.argument is not None and error.token is not None:
        kind = error.argument.hint
        return complaint(error.token.keyword or error.argument.name, error.token.value, allowed(kind), choices(kind))
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name} is missing, or nothing follows it."
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once: write it once."
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(error.unused_tokens or ())
        return f"'{left}' belongs to no option: options are written as --name value."
    said = " ".join(str(error).split())
    return said if said.endswith((".", "?")) else f"{said}."
