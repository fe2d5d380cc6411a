"""What the user's file of settings says to the app: colours, plain characters, keys, and where the first question starts.

It is the file of all commands, ``vram-advisor.toml`` (see ``sources/settings``), so that a habit is said once:

    theme = "okabe-ito"
    ascii = false
    gpu = "rtx-4080"
    [keys]
    copy = "w"
    calibrate = "ctrl+k"

An option of the command line wins over the file. Names of keys are those of ``KEYS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from vram_advisor.sources import settings as of_user
from vram_advisor.tui.knobs import knobs
from vram_advisor.tui.situation import Situation
from vram_advisor.units.errors import BadInput

KEYS = (
    "model", "gpu", "view", "apply", "undo", "pin", "explain", "copy", "calibrate", "help", "quit", "previous", "next",
    "panel-ask", "panel-memory", "panel-advice", "panel-live",
)  # fmt: skip
"""What can be put on another key."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The part of the file that the app reads."""

    theme: str | None = None
    plain: bool = False
    """ASCII only."""
    keys: dict[str, str] = field(default_factory=dict)
    """Key by the name of what it does."""
    first: Situation = field(default_factory=Situation)
    """The question of the first screen."""


def read_settings() -> tuple[Settings, str | None]:
    """The settings, and a sentence where the file cannot be used."""
    try:
        found = of_user.read_settings()
        return Settings(
            theme=found.get("theme"),
            plain=found.get("ascii", False),
            keys=_keys(found.get("keys", {})),
            first=_first(found),
        ), None
    except BadInput as error:
        return Settings(), str(error)


def habits() -> dict[str, Any]:
    """What the file says now, as the commands read it; nothing where it cannot be used."""
    try:
        return of_user.read_settings()
    except BadInput:
        return {}


def _keys(found: dict[str, str]) -> dict[str, str]:
    """Raises BadInput where a name is none of those that have a key."""
    for name in found:
        if name not in KEYS:
            near = get_close_matches(name, KEYS, n=1)
            hint = f"the nearest is {near[0]}" if near else f"use {', '.join(KEYS)}"
            raise BadInput(f"{of_user.FILE}: nothing that can have a key is called '{name[:40]}'; {hint}.")
    return found


def _first(found: dict[str, Any]) -> Situation:
    """The first question with what the file says about cards and levers. Raises BadInput."""
    asked = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items() if name in knobs()
    }
    return replace(Situation().having(**asked), gpu=found.get("gpu"), gpu_index=found.get("gpu_index"))
