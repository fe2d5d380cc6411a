"""A command line with what the user's file of settings says and the line does not; what was typed wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from vram_advisor.domain.plan import INFERENCE_ONLY, LLAMA_CPP_ONLY, TRAINING_ONLY, Plan, Workload

CARD = ("gpu", "gpu_index")
ASK = tuple(field.name for record in (Workload, Plan) for field in fields(record))
JOB = ("dataset", "tokens", "epochs", "packing", "price_per_kwh", "rent_per_hour", "currency")
"""Fields of ``domain.job.Dataset``, which a check does not import."""
LOOK = ("theme", "ascii")
TAKES: dict[str, tuple[str, ...]] = {
    "check": (*CARD, *ASK),
    "advise": (*CARD, *ASK, *JOB),
    "gpus": (*CARD, *ASK),
    "models": (*CARD, *ASK),
    "trace": ASK,
    "tui": LOOK,
    "serve": LOOK,
}
"""Options of each command that the file may say."""
ASKING = {"gpus": ("--for",), "models": ("--fit", "--local")}
"""What turns these lists into questions about a card."""
ADAPTERS = frozenset({"lora_r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save", "use_rslora"})


def with_settings(arguments: Sequence[str]) -> list[str]:
    """The command line, with settings behind what was typed.

    Raises:
        BadInput: the file of settings cannot be used.
    """
    typed = list(arguments)
    takes = TAKES.get(typed[0], ()) if typed else ()
    if not takes or {"--help", "-h"} & set(typed):
        return typed
    from vram_advisor.sources.settings import read_settings

    settings = read_settings()
    if not settings:
        return typed
    named = {_option(word) for word in typed if word.startswith("--")}
    questions = ASKING.get(typed[0])
    if questions is not None and not named & set(questions):
        return typed
    idle = _idle(typed, settings)
    if named & {"--gpu", "--gpu-index"}:
        idle |= set(CARD)
    if named & {"--dataset", "--tokens"}:
        idle |= {"dataset", "tokens"}
    if not named & {"--dataset", "--tokens"} and not set(settings) & {"dataset", "tokens"}:
        idle |= {"epochs", "packing"}
    if "--config" in named:
        # The run that another program's file describes is not to be changed by habits.
        idle |= set(ASK)
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        if key in takes and key not in idle and option not in named and f"--no-{option[2:]}" not in named:
            typed += _words(option, value)
    return typed


def _option(word: str) -> str:
    return word.partition("=")[0].replace("_", "-")


def _idle(typed: Sequence[str], settings: dict[str, Any]) -> set[str]:
    """Settings without effect on the method that is asked about: they are habits, not a part of the question."""
    method = settings.get("method", Workload().method)
    for place, word in enumerate(typed):
        name, equals, value = word.partition("=")
        if name == "--method":
            method = value if equals else "".join(typed[place + 1 : place + 2])
    if method == "inference":
        return {*TRAINING_ONLY, *ADAPTERS, *JOB}
    return {*INFERENCE_ONLY, *LLAMA_CPP_ONLY, "runtime", *(ADAPTERS if method == "full" else ())}


def _words(option: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, list):
        return [option, *map(str, value)] if value else []
    # In one word, so that a value that begins with a dash is none of the options.
    return [f"{option}={value}"]
