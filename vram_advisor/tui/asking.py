"""Questions to the program, answered by a value in every case: an answer, or a sentence that says why there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vram_advisor import api
from vram_advisor.tui.situation import Situation
from vram_advisor.units.errors import AdvisorError

if TYPE_CHECKING:
    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.answer import Answer
    from vram_advisor.domain.gpu import Machine
    from vram_advisor.domain.model import ModelSpec


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, in a sentence."""

    sentence: str


Stamp = tuple[int, int] | None
"""When a file was changed [ns], and its size [B]; None: there is none."""


class Shelf:
    """Models that were read once, so that a key does not read a checkpoint again.

    A file or folder is read again when it has changed; when it is gone, the program says so.
    """

    def __init__(self) -> None:
        self._models: dict[str, tuple[Stamp, ModelSpec | None]] = {}
        self._files: dict[str, str] = {}
        """Where a program keeps a model that is asked for by its name there."""

    def put_at(self, name: str, path: str) -> None:
        """Say which file a name stands for, where the name does not say it."""
        self._files[name] = path

    def take(self, name: str) -> str | ModelSpec:
        """The model where it is as it was read, else its name."""
        stamp, model = self._models.get(name, (None, None))
        return name if model is None or stamp != self._stamp(name) else model

    def keep(self, name: str, model: ModelSpec | None) -> None:
        """Remember what a name meant; None: it cannot be read as it is now."""
        self._models[name] = (self._stamp(name), model)

    def moved(self, name: str) -> bool:
        """Whether a file has changed, gone or come since it was asked for."""
        return name in self._models and self._models[name][0] != self._stamp(name)

    def _stamp(self, name: str) -> Stamp:
        try:
            found = os.stat(os.path.expanduser(self._files.get(name, name)))
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size


def ask(situation: Situation, machine: Machine | None, shelf: Shelf) -> Answer | Refusal:
    """What ``check`` answers."""
    asked = situation.asked()
    model = shelf.take(asked.model)
    try:
        answer = api.check(
            model,
            gpu=asked.gpu,
            gpu_index=asked.gpu_index if asked.gpu is None else None,
            workload=asked.workload,
            plan=asked.plan,
            machine=machine,
        )
    except (AdvisorError, OSError) as error:
        if isinstance(model, str):
            shelf.keep(model, None)
        if isinstance(error, AdvisorError):
            return Refusal(str(error))
        return Refusal(f"{asked.model} cannot be read: {error.strerror or error}.")
    shelf.keep(asked.model, answer.model)
    return answer


def ask_advice(situation: Situation, machine: Machine | None, shelf: Shelf) -> AdviceAnswer | Refusal:
    """What ``advise`` answers."""
    asked = situation.asked()
    try:
        return api.advise(
            shelf.take(asked.model),
            gpu=asked.gpu,
            gpu_index=asked.gpu_index if asked.gpu is None else None,
            workload=asked.workload,
            plan=asked.plan,
            machine=machine,
        )
    except AdvisorError as error:
        return Refusal(str(error))
    except OSError as error:
        return Refusal(f"{asked.model} cannot be read: {error.strerror or error}.")
