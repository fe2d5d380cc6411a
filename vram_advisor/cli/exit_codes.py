"""What the exit code of every command means."""

from enum import IntEnum

from vram_advisor.domain.answer import Answer


class ExitCode(IntEnum):
    """The one home of exit codes."""

    ANSWERED = 0
    """Answered, and nothing says that it does not fit: fits, tight, unknown."""
    DOES_NOT_FIT = 1
    """It does not fit; with --strict also tight and unknown."""
    BAD_INPUT = 2
    """A name, file or number cannot be used, or an architecture is not modelled."""
    MISSING = 3
    """Something that was asked for is not there: an extra, a GPU index."""
    INTERRUPTED = 130
    """Ctrl-C, as shells report it."""


def code_of(answer: Answer, strict: bool) -> ExitCode:
    """The exit code of an answer: that of the recommended option."""
    if answer.device is None:
        return ExitCode.DOES_NOT_FIT if strict else ExitCode.ANSWERED
    if answer.recommended is None:
        return ExitCode.DOES_NOT_FIT
    tight = answer.options[answer.recommended].verdict.outcome != "fits"
    return ExitCode.DOES_NOT_FIT if strict and tight else ExitCode.ANSWERED
