"""What a command did, for the tests of the command line."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """Exit code and both streams."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]
"""Takes the words of a command line."""
