"""Golden files: what is printed, byte for byte. ``UPDATE_GOLDENS=1 pytest`` writes them; the diff is then to be read."""

import os
from pathlib import Path

GOLDENS = Path(__file__).resolve().parent / "goldens"


def assert_golden(name: str, text: str, folder: Path = GOLDENS) -> None:
    """The text is that of the file."""
    path = folder / name
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_bytes(text.encode())
    assert path.exists(), f"{path} is missing: run with UPDATE_GOLDENS=1 and read it"
    assert text.encode() == path.read_bytes(), f"{name} has changed: run with UPDATE_GOLDENS=1 and read the diff"
