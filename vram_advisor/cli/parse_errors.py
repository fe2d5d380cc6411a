"""What the parser of options complains about, in one sentence that names the option."""

from __future__ import annotations

from cyclopts import CycloptsError
from pydantic import ValidationError


def sentence(error: CycloptsError) -> str:
    """The error in one line."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return _of_validation(cause)
    said = " ".join(str(error).split())
    return said if said.endswith((".", "?")) else f"{said}."


def _of_validation(error: ValidationError) -> str:
    """The first complaint about a field of a record, with the option as it is written."""
    first = error.errors()[0]
    option = "--" + "-".join(str(part) for part in first["loc"] if isinstance(part, str)).replace("_", "-")
    message = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{option} {first['input']}: should be {message}."
