"""What the memory model says about a trial, channel by channel, for any coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vram_advisor.domain.architectures import build
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trial import Environment, Measurement
from vram_advisor.memory.allocator import simulated_reserved
from vram_advisor.memory.estimate import estimate
from vram_advisor.sources.catalog_gpus import match_reported
from vram_advisor.throughput.training import training_speed

BETWEEN_STEPS = "save"
"""The phase in which nothing runs."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run should measure, in the units of ``Measurement``."""

    resident_bytes: int
    phase_bytes: dict[str, int]
    allocated_bytes: int
    reserved_bytes: int
    """By the closed form of the allocator's slack."""
    context_bytes: int
    step_seconds: float | None = None
    """None where the rates of the device are not known."""
    simulated_bytes: int | None = None
    """Reserved by a simulated allocator, as far as real ones agree with it; None where none was simulated."""


Predict = Callable[[Measurement], Callable[[Coefficients], Prediction]]
"""For a run, what is predicted for it as a function of the coefficients."""


def predicting(measurement: Measurement) -> Callable[[Coefficients], Prediction]:
    """The memory model's prediction for the trial of a measurement.

    Raises:
        BadInput, NotModelled: the model or the plan of the trial has no estimate.
    """
    trial = measurement.trial
    model, habits = build(trial.config), recipe(trial.plan.recipe)
    device = trial_device(measurement.environment, trial.processes)
    simulated, seconds = measurement.simulated_bytes, None
    if device is not None and device.spec is not None:
        speed = training_speed(model, trial.workload, trial.plan, device.spec, habits)
        seconds = None if speed is None else float(speed.seconds_per_step.mid)

    def predict(coefficients: Coefficients) -> Prediction:
        found = estimate(model, trial.workload, trial.plan, habits, device, coefficients).estimate
        # Gradients are dropped between two steps, also where they are kept from one micro batch to the next.
        resident = sum(c.nbytes for c in found.components if BETWEEN_STEPS in c.alive and c.kind != "gradients")
        peak = found.peak
        return Prediction(
            resident_bytes=resident,
            phase_bytes={p.phase: p.allocated_bytes for p in found.phases},
            allocated_bytes=peak.allocated_bytes.mid,
            reserved_bytes=peak.reserved_bytes.mid,
            context_bytes=peak.process_bytes.mid - peak.reserved_bytes.mid,
            step_seconds=seconds and seconds / coefficients.throughput_efficiency.value,
            simulated_bytes=simulated and int(simulated_reserved(simulated, device, coefficients)),
        )

    return predict


def trial_device(environment: Environment, count: int) -> Device | None:
    """The device of a trial; None where it is not known by its memory, as on a processor.

    Its card of the catalogue, where there is one, has the rates that a time is predicted from.
    """
    if environment.total_bytes is None or environment.backend in ("cpu", "fake"):
        return None
    return Device(
        name=environment.device,
        count=count,
        source="detected",
        total_bytes=environment.total_bytes,
        free_bytes=environment.total_bytes,
        sm_count=environment.sm_count,
        compute_capability=environment.compute_capability,
        system=environment.system,
        spec=match_reported(environment.device, environment.total_bytes),
    )
