"""The errors that a person can act on.

Each carries one sentence; the faces print it and choose the exit code by the class.
"""


class AdvisorError(Exception):
    """Something is wrong and the sentence says what to do."""


class BadInput(AdvisorError):
    """A name, file or number cannot be used (exit code 2)."""


class NotModelled(BadInput):
    """An architecture, method or kernel has no evidence behind it and is refused by name (exit code 2)."""


class Missing(AdvisorError):
    """Something that was asked for is not there: an extra, a GPU index (exit code 3)."""
