"""One NVML query after another, where a failure is a value."""

from typing import Any

_NOT_AVAILABLE = frozenset({2**64 - 1, 2**32 - 1})
"""What NVML puts where it has no number (NVML_VALUE_NOT_AVAILABLE)."""

_FUNCTION_NOT_FOUND = 13
_TOO_OLD = "not in this driver"


def known(value: Any) -> int | None:
    """The whole number that NVML gave; None where it gave none, or the mark for not available."""
    return None if value is None or value in _NOT_AVAILABLE else int(value)


class Query:
    """Asks one GPU, or the system, and remembers what it did not answer and why."""

    def __init__(self, nvml: Any, handle: Any = None) -> None:
        self._nvml = nvml
        self._handle = handle
        self._failures: dict[str, str] = {}

    def __call__(self, what: str, function: str, *arguments: Any, quiet: bool = False) -> Any:
        """The answer of one NVML function, None where there is none.

        Args:
            what: the thing asked for, as a person calls it.
            function: its name in the bindings.
            arguments: what it takes besides the handle.
            quiet: failing is usual here and not worth a line.
        """
        first = () if self._handle is None else (self._handle,)
        # The bindings raise this one, which is no NVMLError, where an old driver lacks the newest form of a function.
        too_old = getattr(self._nvml, "NVMLLibraryMismatchError", self._nvml.NVMLError)
        try:
            return getattr(self._nvml, function)(*first, *arguments)
        except self._nvml.NVMLError as error:
            reason = _TOO_OLD if getattr(error, "value", None) == _FUNCTION_NOT_FOUND else str(error)
        except too_old:
            reason = _TOO_OLD
        except AttributeError:
            reason = "not in this version of nvidia-ml-py"
        except (TypeError, ValueError, OSError) as error:
            reason = type(error).__name__
        if not quiet:
            self._failures[what] = reason
        return None

    def forget(self, what: str) -> None:
        """This failure has an explanation of its own."""
        self._failures.pop(what, None)

    def lines(self, who: str) -> list[str]:
        """One line for each reason: what was not answered."""
        by_reason: dict[str, list[str]] = {}
        for what, reason in self._failures.items():
            by_reason.setdefault(reason, []).append(what)
        return [f"{who}: {', '.join(things)}: {reason}." for reason, things in by_reason.items()]
