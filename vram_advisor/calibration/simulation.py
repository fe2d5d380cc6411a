"""Measured runs beside a simulated allocator: the same steps on tensors without memory, in a process of their own.

What a real allocator takes is no smooth function of what is asked for: segments have sizes, and blocks are cut from
them in the order of the step. Played through the same rules, a step leaves one number to learn: how much more, or less,
the real allocator takes. Neither torch nor a GPU is needed here.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

from vram_advisor.calibration.priors import GPUS
from vram_advisor.calibration.trace import SECONDS, ask_worker
from vram_advisor.domain.trial import Measurement, Trial
from vram_advisor.units.errors import AdvisorError


def can_be_simulated(measurement: Measurement) -> bool:
    """Whether its reserved memory is that of one process with PyTorch's caching allocator, real or simulated."""
    trial, reserved = measurement.trial, measurement.reserved_bytes
    return (
        measurement.outcome == "measured"
        and bool(reserved)
        and trial.backend in (*GPUS, "cpu")
        and trial.processes == 1
    )


def with_simulations(
    measurements: Sequence[Measurement], seconds: float = SECONDS, stop: threading.Event | None = None
) -> tuple[list[Measurement], tuple[str, ...]]:
    """Measurements with ``simulated_bytes`` where reserved memory was measured, and why some have none, in sentences.

    Args:
        measurements: runs of one process each, or of several, which have none.
        seconds: for all of them together [s].
        stop: set by another thread to end it.

    Raises:
        Missing: torch, transformers or PEFT is not installed.
    """
    found = list(measurements)
    which = [i for i, each in enumerate(found) if can_be_simulated(each)]
    notes: dict[str, None] = {}
    trials = [found[i].trial for i in which]
    for i, answer in zip(which, simulate_many(trials, seconds, stop), strict=True):
        if isinstance(answer, AdvisorError):
            notes[f"The allocator was not simulated, so only its slack is learnt: {answer}"] = None
        else:
            found[i] = replace(found[i], simulated_bytes=answer)
    return found, tuple(notes)


def simulate_many(
    trials: Sequence[Trial], seconds: float = SECONDS, stop: threading.Event | None = None
) -> list[int | AdvisorError]:
    """What a simulated allocator takes for the steps of each trial [B], or why that is not known.

    Raises:
        Missing: torch, transformers or PEFT is not installed.
    """
    return ask_worker(trials, "simulate", lambda message: int(message["reserved_bytes"]), seconds=seconds, stop=stop)
