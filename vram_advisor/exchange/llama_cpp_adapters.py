"""The files of LoRA adapters on a command line of llama-server: --lora and --lora-scaled."""

from __future__ import annotations

import re

from vram_advisor.exchange.keys import Document
from vram_advisor.units.errors import BadInput

LORA, SCALED = "--lora", "--lora-scaled"
SCALE = re.compile(r"[-+]?(\d{1,9}\.?\d{0,9}|\.\d{1,9})(e[-+]?\d{1,3})?")


def adapter_files(values: Document) -> Document:
    """The two flags with the files of both, in the order of the command line; nothing where no file has a scale.

    Raises:
        BadInput: a file of --lora-scaled has no scale.
    """
    if SCALED not in values:
        return {}
    given = [key for key in values if key in (LORA, SCALED)]
    files = [joined(values[key]) if key == LORA else unscaled(values[key]) for key in given]
    return dict.fromkeys(given, ",".join(files))


def joined(value: object) -> str:
    """Files of adapters as one text."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def unscaled(value: object) -> str:
    """The files of ``FILE:SCALE,...``, or of ``FILE SCALE`` as builds of 2025 had it: a scale takes no memory.

    Raises:
        BadInput: a file has no scale.
    """
    parts = [":".join(map(str, value))] if isinstance(value, list) and len(value) == 2 else joined(value).split(",")
    files = []
    for part in parts:
        file, colon, scale = part.rpartition(":")
        if not (file and colon and SCALE.fullmatch(scale)):
            raise BadInput(f"{SCALED}: {part[:60]} should be a file, a colon and a number, such as adapter.gguf:0.5.")
        files.append(file)
    return ",".join(files)
