"""The steps of one trial under a meter, told step by step (torch)."""

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from vram_advisor.calibration.channel import Channel
from vram_advisor.calibration.meters import Meter, is_out_of_memory
from vram_advisor.calibration.training_step import Run
from vram_advisor.calibration.versions import installed
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import AdvisorError, Missing

Make = Callable[[], Run]
SIGN_EVERY = 5.0
"""Between two signs of life [s]."""


def tell_start(channel: Channel, meter: Meter) -> None:
    """Introduce the process: versions, and the device as PyTorch sees it."""
    versions = {**installed(), "torch": torch.__version__}
    if torch.version.cuda or torch.version.hip:
        versions["cuda" if torch.version.cuda else "rocm"] = str(torch.version.cuda or torch.version.hip)
    channel.say("started", versions=versions, **meter.facts())


def run_trial(channel: Channel, trial: Trial, meter: Meter, make: Make) -> None:
    """Build, step, measure, and say how it went; the last word holds until the supervisor has looked.

    Args:
        channel: to the supervisor.
        trial: what is run.
        meter: of the device.
        make: builds the model on the device of the meter.
    """
    try:
        run = make()
        channel.say("built")
        with meter.watching(run):
            measured = _steps(channel, trial, meter, run)
        if meter.slows:
            measured |= _timed(run)
        channel.say("measured", **measured)
        channel.hold()
        return
    except AdvisorError as error:
        channel.say("missing" if isinstance(error, Missing) else "refused", message=str(error))
        return
    except Exception as error:
        said = _first_line(error)
        if not is_out_of_memory(error):
            channel.say("failed", message=f"{type(error).__name__}: {said}")
            raise
    # Said out here, where what the failed step held is free again.
    with suppress(Exception):
        # The phase that ran out ends here; its peak is a lower bound of what was needed.
        meter.rest()
    channel.say(
        "out_of_memory",
        message=said,
        phase_bytes=meter.peaks.phases(),
        allocated_bytes=meter.peaks.most or None,
        reserved_bytes=meter.reserved_bytes(),
    )


def _steps(channel: Channel, trial: Trial, meter: Meter, run: Run) -> dict[str, Any]:
    """Steps under a meter, the first of which does not count; what they measured, by fields of ``Measurement``."""
    torch.manual_seed(0)
    listener = _Told(channel, meter)
    resident = 0
    seconds: list[float] = []
    tokens: list[int] = []
    for step in range(trial.steps):
        lengths = run.lengths(step)
        meter.synchronise()
        began = time.perf_counter()
        run.step(lengths, listener)
        meter.synchronise()
        taken = time.perf_counter() - began
        now = meter.rest()
        channel.say("step", step=step + 1, steps=trial.steps, seconds=taken, allocated_bytes=meter.peaks.most)
        if step == 0:
            # The states of the optimizer appear in the first step; what counts is from here on.
            meter.restart()
            continue
        resident = max(resident, now)
        seconds.append(taken)
        tokens.append(sum(lengths))
    phases = meter.peaks.phases()
    return {
        "resident_bytes": resident,
        "phase_bytes": phases,
        "allocated_bytes": max(phases.values()),
        "reserved_bytes": meter.reserved_bytes(),
        "step_seconds": statistics.median(seconds),
        "tokens_per_second": sum(tokens) / sum(seconds),
    }


def _timed(run: Run) -> dict[str, Any]:
    """One more step for its time, where the meter would have slowed it down."""
    lengths = run.lengths(run.trial.steps)
    began = time.perf_counter()
    run.step(lengths, _Deaf())
    taken = time.perf_counter() - began
    return {"step_seconds": taken, "tokens_per_second": sum(lengths) / taken}


class _Deaf:
    """Observes nothing."""

    def enter(self, phase: str) -> None:
        pass


class _Told:
    """Tells the meter of every border, and the supervisor of some: a sign of life within long steps."""

    def __init__(self, channel: Channel, meter: Meter) -> None:
        self._channel, self._meter = channel, meter
        self._said = time.monotonic()

    def enter(self, phase: str) -> None:
        self._meter.enter(phase)
        if time.monotonic() - self._said > SIGN_EVERY:
            self._said = time.monotonic()
            self._channel.say("phase", phase=phase)


def _first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
