"""``docker run`` with an image of vLLM or llama.cpp, as the command that it starts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vram_advisor.exchange.command_lines import ENVIRONMENT
from vram_advisor.exchange.keys import Document
from vram_advisor.units.errors import BadInput

IMAGE = re.compile(r"(?P<vllm>vllm/vllm-openai)|llama\.cpp:(?P<kind>server|light|full)")
STARTS = {"--server": "llama-server", "-s": "llama-server", "--run": "llama-cli", "-r": "llama-cli"}
"""What the image ``full`` of llama.cpp starts by its first word."""


def inside_container(words: Sequence[str], where: str) -> tuple[list[str], Document]:
    """The command that a container starts, and the variables and cards that it is given.

    Raises:
        BadInput: the image is of another program.
    """
    at, found = next(
        ((i, match) for i, word in enumerate(words) if not word.startswith("-") and (match := IMAGE.search(word))),
        (0, None),
    )
    if found is None:
        raise BadInput(f"{where}: of containers only those of vllm/vllm-openai and ggml-org/llama.cpp are estimated.")
    variables, left = _variables(words[1:at]), list(words[at + 1 :])
    if found["vllm"]:
        return ["vllm", "serve", *(left[1:] if left[:1] == ["serve"] else left)], variables
    if found["kind"] != "full":
        return ["llama-cli" if found["kind"] == "light" else "llama-server", *left], variables
    if not left or left[0] not in STARTS:
        raise BadInput(f"{where}: of llama.cpp's image full only --server and --run are estimated.")
    return [STARTS[left[0]], *left[1:]], variables


def _variables(words: Sequence[str]) -> Document:
    """Variables by ``-e`` and cards by ``--gpus``."""
    made: Document = {}
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("-e", "--env", "--gpus") and not equals:
            value = words[i + 1] if i + 1 < len(words) else ""
        if name in ("-e", "--env") and "=" in value:
            variable, _, content = value.partition("=")
            made[f"{ENVIRONMENT}{variable}"] = content
        elif name == "--gpus" and "device=" in value:
            made[f"{ENVIRONMENT}CUDA_VISIBLE_DEVICES"] = value.strip("'\"").partition("device=")[2]
    return made
