"""What the parser of options complains about, in one sentence that names the option."""

from __future__ import annotations

import difflib

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError
from pydantic import ValidationError


def sentence(error: CycloptsError) -> str:
    """The error in one line."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return _of_validation(cause)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name} is missing, or nothing follows it."
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(error.unused_tokens or ())
        return f"'{left}' belongs to no option: options are written as --name value."
    said = " ".join(str(error).split())
    return said if said.endswith((".", "?")) else f"{said}."


def _of_validation(error: ValidationError) -> str:
    """The first complaint about a field of a record, with the option as it is written."""
    first = error.errors()[0]
    option = "--" + "-".join(str(part) for part in first["loc"] if isinstance(part, str)).replace("_", "-")
    given = str(first["input"])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    said = f"{option} {given}: should be {expected}"
    if first["type"] == "literal_error":
        valid = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
        near = difflib.get_close_matches(given, valid, n=1)
        said += f"; the nearest is {near[0]}" if near else ""
    return f"{said}."
