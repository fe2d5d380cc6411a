"""Names of GGUF models on the Hugging Face hub, as people write them."""

import re
from dataclasses import dataclass

NAME = r"[A-Za-z0-9][\w.-]*"
REFERENCE = re.compile(
    rf"(?P<site>(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/)?(?P<repo>{NAME}/{NAME})"
    r"(?:/(?:blob|resolve)/(?P<revision>[\w.-]+))?(?:/(?P<file>[\w./ +-]+\.gguf))?(?:\?download=true)?(?::(?P<tag>[\w.-]+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model of a GGUF repository as people write it."""

    repo: str
    file: str | None = None
    tag: str | None = None
    """Quantization, the end of the name of a file."""
    revision: str | None = None


def gguf_reference(text: str) -> Reference | None:
    """What a name means as a GGUF repository; None where it is meant as something else.

    ``hf.co/owner/name:Q4_K_M``, an address of a file, ``owner/name:Q4_K_M``, or ``owner/name-GGUF``.
    """
    match = REFERENCE.fullmatch(text)
    if match is None:
        return None
    named = match["site"] or match["tag"] or match["repo"].lower().endswith("gguf")
    if not named or (match["file"] and not match["site"]):
        return None
    return Reference(match["repo"], match["file"], match["tag"], match["revision"])
