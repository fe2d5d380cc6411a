"""A calibration from its protocol to its coefficients.

Nothing is imported here that only the worker needs.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vram_advisor import __version__
from vram_advisor.calibration.fit import Compared
from vram_advisor.calibration.learn import learn
from vram_advisor.calibration.place import Place
from vram_advisor.calibration.priors import backend_coefficients
from vram_advisor.calibration.simulation import can_be_simulated, with_simulations
from vram_advisor.calibration.supervisor import Limits
from vram_advisor.calibration.trial_run import run_trial
from vram_advisor.calibration.worker_process import Message
from vram_advisor.domain.calibration import Calibration
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.protocol import Progress, Protocol
from vram_advisor.domain.trial import Measurement
from vram_advisor.units.bytes import MIB, gib
from vram_advisor.units.errors import Missing

NOTICED = 64 * MIB
"""Change of what other processes hold that is worth a sentence [B]."""
Hear = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Calibrated:
    """What came of a calibration."""

    protocol: Protocol
    calibration: Calibration
    compared: tuple[Compared, ...]
    """Every figure: predicted before, measured, predicted after."""
    coefficients: Coefficients
    notes: tuple[str, ...] = ()
    """What was lost or disturbed, and what could not be saved, each as a sentence."""
    saved: str | None = None
    """File that it is stored in."""


def calibrate(
    protocol: Protocol,
    place: Place,
    limits: Limits,
    hear: Hear,
    *,
    stop: threading.Event | None = None,
    nominal: Coefficients = NOMINAL,
) -> Calibrated:
    """Make the runs one after another and learn from them.

    A run that is lost, by an out-of-memory error, a signal or a limit of time, does not end the others. What an
    allocator takes for their steps is simulated afterwards.

    Args:
        protocol: the runs.
        place: where they are made.
        limits: of each run, and of all simulations together.
        hear: called with what happens.
        stop: set by another thread; what was measured before is kept.
        nominal: coefficients before.

    Raises:
        Missing: no run measured anything, or the worker lacks what it needs.
        NotModelled: the trials do not run here.
    """
    measurements: list[Measurement] = []
    for number, run in enumerate(protocol.runs, 1):
        if stop is not None and stop.is_set():
            break
        teller = _Teller(hear, number, len(protocol.runs))
        teller.tell(Progress(event="run", steps=run.trial.steps))
        found = run_trial(run.trial, place, limits, teller.heard, stop)
        measurements += found
        for each in found:
            teller.tell(
                Progress(
                    event="measured" if each.outcome == "measured" else "lost",
                    message=each.message,
                    allocated_bytes=each.allocated_bytes,
                )
            )
    telling = [each for each in measurements if each.outcome in ("measured", "out_of_memory")]
    if not telling:
        raise Missing(f"Nothing was measured. {measurements[-1].message if measurements else 'It was stopped.'}")
    notes = [*lost(measurements), *disturbed(measurements)]
    if any(can_be_simulated(each) for each in telling) and not (stop is not None and stop.is_set()):
        hear(Progress(event="simulating", runs=len(protocol.runs)))
        telling, unsimulated = with_simulations(telling, limits.seconds, stop)
        notes += unsimulated
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    calibration, fit = learn(telling, created, __version__, believed=backend_coefficients(protocol.backend, nominal))
    hear(Progress(event="fitted", runs=len(protocol.runs)))
    return Calibrated(protocol, calibration, fit.compared, fit.coefficients, tuple(notes))


class _Teller:
    """Turns messages of a worker into what happens during one run."""

    def __init__(self, hear: Hear, number: int, runs: int) -> None:
        self._hear, self._number, self._runs = hear, number, runs

    def tell(self, progress: Progress) -> None:
        """With the number of the run."""
        self._hear(replace(progress, run=self._number, runs=self._runs))

    def heard(self, message: Message) -> None:
        """A message of the worker."""
        if message.get("rank", 0) != 0:
            return
        match message["event"]:
            case "started" | "built" as event:
                self.tell(Progress(event=event, message=str(message.get("device", ""))))
            case "step":
                self.tell(
                    Progress(
                        event="step",
                        step=message["step"],
                        steps=message["steps"],
                        seconds=message["seconds"],
                        allocated_bytes=message["allocated_bytes"],
                    )
                )


def lost(measurements: Sequence[Measurement]) -> list[str]:
    """Runs that did not measure, each as a sentence."""
    return [f"{_named(each)} is lost: {each.message}" for each in measurements if each.outcome != "measured"]


def disturbed(measurements: Sequence[Measurement]) -> list[str]:
    """Runs during which other processes took or gave back memory."""
    return [
        f"{_named(each)} was disturbed: other processes {'took' if each.disturbed_bytes > 0 else 'gave back'} "
        f"{gib(abs(each.disturbed_bytes))} of the GPU meanwhile."
        for each in measurements
        if abs(each.disturbed_bytes) > NOTICED
    ]


def _named(measurement: Measurement) -> str:
    trial = measurement.trial
    work = trial.workload
    return f"The run of {work.micro_batch_size} × {work.sequence_length:,} tokens"
