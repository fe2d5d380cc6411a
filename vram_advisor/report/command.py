"""The command line that asks again: the options that differ from their defaults, or from what a file of settings says."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from vram_advisor.domain.plan import INFERENCE_ONLY, TRAINING_ONLY, Plan, Workload

WITHOUT_SETTINGS = f"VRAM_ADVISOR_CONFIG={os.devnull}"
"""Before a command: the user's file of settings is not read."""


def options(workload: Workload, plan: Plan, settings: Mapping[str, Any] | None = None) -> list[str]:
    """Words of the options that say more than their defaults do, or something else than the settings."""
    idle = INFERENCE_ONLY | {"runtime"} if workload.trains else TRAINING_ONLY
    against = _against(workload, plan, settings or {})
    words: list[str] = []
    for record in (workload, plan):
        for field in fields(record):
            value = getattr(record, field.name)
            if field.name in idle or value is None or (value == field.default and field.name not in against):
                continue
            words += _words(field.name, value)
    return words


def named_options(records: Sequence[Any]) -> list[str]:
    """Words of the options of other records that say more than their defaults do; a field's name is its option."""
    said = [(field.name, getattr(r, field.name), field.default) for r in records for field in fields(r)]
    return [word for name, value, default in said if value not in (None, default) for word in _words(name, value)]


def _words(name: str, value: Any) -> list[str]:
    """An option and its value."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if isinstance(value, tuple):
        return [f"--{option}", *value] if value else []
    return [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]


def command_line(
    model: str,
    workload: Workload,
    plan: Plan,
    gpu: str | None = None,
    command: str = "check",
    settings: Mapping[str, Any] | None = None,
) -> str:
    """``vram-advisor check --model ...`` as a shell takes it.

    Args:
        model: its name or path.
        workload: what is asked.
        plan: the levers.
        gpu: a card of the catalogue.
        command: that asks.
        settings: what the user's file says of fields that have an effect on the question; None: nothing.
    """
    against = _against(workload, plan, settings or {})
    # No option says "as the recipe decides", or an empty list: then the file must not say anything.
    unsaid = any(value in (None, ()) for value in against.values())
    words = ["vram-advisor", command, "--model", model, *options(workload, plan, None if unsaid else settings)]
    line = shlex.join(words + (["--gpu", gpu] if gpu else []))
    return f"{WITHOUT_SETTINGS} {line}" if unsaid else line


def _against(workload: Workload, plan: Plan, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values that differ from what the settings say, by field."""
    values = {field.name: getattr(record, field.name) for record in (workload, plan) for field in fields(record)}
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return {name: values[name] for name, value in said.items() if name in values and values[name] != value}
