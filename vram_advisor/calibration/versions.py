"""Versions of what a run depends on, read from what is installed without importing it."""

import platform
from importlib import metadata
from importlib.util import find_spec

from vram_advisor.units.errors import Missing

NEEDED = ("torch", "transformers", "peft", "accelerate")
"""Without these no run is possible."""
NOTED = (*NEEDED, "bitsandbytes", "trl")


def installed() -> dict[str, str]:
    """Version by package, of those that are installed; python among them."""
    found = {"python": platform.python_version()}
    for package in NOTED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def require(command: str) -> None:
    """Refuse to start where the training code is not installed.

    Raises:
        Missing: it names what is missing and how it is installed.
    """
    absent = [package for package in NEEDED if find_spec(package) is None]
    if absent:
        raise Missing(
            f"{command} runs the real training code, and {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} "
            "not installed: pip install 'vram-advisor[calibrate]'."
        )
