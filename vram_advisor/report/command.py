"""The command line that asks again: the options that differ from their defaults."""

from __future__ import annotations

import shlex
from dataclasses import fields

from vram_advisor.domain.plan import INFERENCE_ONLY, TRAINING_ONLY, Plan, Workload


def options(workload: Workload, plan: Plan) -> list[str]:
    """Words of the options that say more than their defaults do."""
    idle = INFERENCE_ONLY | {"runtime"} if workload.trains else TRAINING_ONLY
    words: list[str] = []
    for record in (workload, plan):
        for field in fields(record):
            value = getattr(record, field.name)
            if field.name in idle or value == field.default or value is None:
                continue
            option = f"--{field.name.replace('_', '-')}"
            if value is True:
                words.append(option)
            elif value is False:
                words.append(f"--no-{field.name.replace('_', '-')}")
            elif isinstance(value, tuple):
                words += [option, *value] if value else []
            elif isinstance(value, float):
                words += [option, f"{value:g}"]
            else:
                words += [option, str(value)]
    return words


def command_line(model: str, workload: Workload, plan: Plan, gpu: str | None = None, command: str = "check") -> str:
    """``vram-advisor check --model ...`` as a shell takes it."""
    words = ["vram-advisor", command, "--model", model, *options(workload, plan)]
    return shlex.join(words + (["--gpu", gpu] if gpu else []))
