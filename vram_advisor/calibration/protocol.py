"""Which short runs a calibration makes: all of them fit, and together they tell its coefficients apart.

Layers of a kind are identical, so two small depths say what any depth does, and the depth of the whole model is only
run where that is asked for. Two lengths far apart tell what grows with tokens from what does not; more lengths or
repeats add little, since a run repeats to the byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vram_advisor.calibration.depths import at_depth, two_depths
from vram_advisor.calibration.priors import backend_coefficients
from vram_advisor.domain.architectures import build
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.protocol import PlannedRun, Protocol
from vram_advisor.domain.quantization import quantization
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.tensors import count_parameters
from vram_advisor.domain.trial import Backend, Trial
from vram_advisor.memory.estimate import estimate
from vram_advisor.units.bytes import GIB, gib
from vram_advisor.units.errors import BadInput

FAR_APART = 8
"""The long sequences are so many times as long as the short ones."""
SHORTEST = 64
"""Sequences are not shortened below this to make a run fit [tokens]."""
PROGRAM_BYTES = int(0.8 * GIB)
"""PyTorch and transformers in the memory of the computer [B]."""
KERNEL_SHARE = 1.25
"""On a processor operators copy what they cast: what a run takes is more than its tensors."""
SPEED = {"cuda": 2e13, "rocm": 1.5e13, "xpu": 1e13, "mps": 3e12, "cpu": 5e10}
"""Rough speed of training [floating-point operations/s]."""
START_SECONDS = 15.0
"""To import the libraries and make the model [s]."""
LONGEST_STEP = 60.0
"""On a processor sequences are shortened until a step takes no longer than this [s]."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Asked:
    """What a calibration is asked to run."""

    config: Mapping[str, object]
    """``config.json`` of the whole model."""
    model: ModelSpec
    workload: Workload
    plan: Plan
    """With every choice made."""
    backend: Backend
    device: Device | None = None
    """None: no memory limits the runs."""
    steps: int = 3
    full: bool = False
    """Run the whole model."""
    lengths: tuple[int, ...] = ()
    """Of the examples of a dataset [tokens]; empty: all of ``workload.sequence_length``."""


def plan_runs(asked: Asked) -> Protocol:
    """The runs that answer what is asked.

    Raises:
        BadInput: nothing fits; the sentence says what was tried and what is free.
        NotModelled: the model or the plan has no estimate, so there is nothing to calibrate.
    """
    depths = (asked.model.num_hidden_layers,) if asked.full else two_depths(asked.config)
    longest = min(asked.workload.sequence_length, max(asked.lengths, default=asked.workload.sequence_length))
    length, long = _longest_that_fits(asked, depths, longest)
    if _obstacle(asked, long) == "memory":
        # One depth alone tells less, but the smaller one is worth a try.
        depths = depths[:1]
        length, long = _longest_that_fits(asked, depths, longest)
    if _obstacle(asked, long) == "memory":
        raise BadInput(_refusal(asked, long[-1], length))
    short = [_run(asked, depth, max(1, length // FAR_APART), dataset=False) for depth in depths]
    runs = sorted(short + long if length > 1 else long, key=lambda run: run.needed_bytes)
    return Protocol(asked.model, tuple(runs), asked.backend, asked.device, notes=_notes(asked, longest, length))


def _longest_that_fits(asked: Asked, depths: tuple[int, ...], longest: int) -> tuple[int, list[PlannedRun]]:
    """The longest sequences, halved where that is needed, that fit at all depths; the shortest where none do."""
    length = longest
    while True:
        runs = [_run(asked, depth, length, dataset=True) for depth in depths]
        if _obstacle(asked, runs) is None or length // 2 < SHORTEST:
            return length, runs
        length //= 2


def _obstacle(asked: Asked, runs: list[PlannedRun]) -> Literal["memory", "time"] | None:
    """What is not there for runs."""
    if asked.device is not None and any(run.needed_bytes > asked.device.free_bytes for run in runs):
        return "memory"
    if asked.backend == "cpu" and any(_step_seconds(run) > LONGEST_STEP for run in runs):
        return "time"
    return None


def _step_seconds(run: PlannedRun) -> float:
    return (run.seconds - START_SECONDS) / run.trial.steps


def _run(asked: Asked, depth: int, length: int, *, dataset: bool) -> PlannedRun:
    """A run at a depth with sequences of at most a length."""
    config = at_depth(asked.config, depth)
    model = build(config, id=asked.model.id)
    workload = replace(asked.workload, sequence_length=length)
    lengths: tuple[int, ...] = ()
    if asked.lengths:
        workload = replace(workload, padding="padded" if workload.micro_batch_size > 1 else workload.padding)
    if asked.lengths and dataset:
        lengths = _sample(asked, length)
        workload = replace(workload, lengths="varied")
    trial = Trial(
        config=config,
        workload=workload,
        plan=asked.plan,
        backend=asked.backend,
        steps=asked.steps,
        lengths=lengths,
        processes=asked.plan.num_gpus,
    )
    return PlannedRun(trial, model, depth, _needed_bytes(asked, model, workload), _seconds(trial, model))


def _sample(asked: Asked, length: int) -> tuple[int, ...]:
    """As many lengths of the dataset as the steps take, in its order; the longest comes last, in a step that counts."""
    count = asked.steps * asked.workload.micro_batch_size * asked.workload.gradient_accumulation_steps
    cut = [min(each, length) for each in asked.lengths]
    others = tuple(cut[i % len(cut)] for i in range(count - 1))
    # A trace follows one step, the first.
    return (max(cut), *others) if asked.backend == "fake" else (*others, max(cut))


def _needed_bytes(asked: Asked, model: ModelSpec, workload: Workload) -> int:
    """Upper end of what a run takes from its device [B]."""
    coefficients = backend_coefficients(asked.backend)
    habits = recipe(asked.plan.recipe)
    peak = estimate(model, workload, asked.plan, habits, asked.device, coefficients).estimate.peak
    if asked.backend == "cpu":
        return asked.plan.num_gpus * (int(peak.allocated_bytes.high * KERNEL_SHARE) + PROGRAM_BYTES)
    if asked.backend == "fake":
        return PROGRAM_BYTES
    return peak.minimum_bytes.high


def _seconds(trial: Trial, model: ModelSpec) -> float:
    """Rough time of a trial [s]: eight operations per parameter and token, with the layers that are computed again."""
    if trial.backend == "fake":
        return START_SECONDS
    work = trial.workload
    tokens = work.micro_batch_size * work.gradient_accumulation_steps * work.sequence_length
    return START_SECONDS + trial.steps * 8 * count_parameters(model) * tokens / SPEED[trial.backend]


def _refusal(asked: Asked, run: PlannedRun, length: int) -> str:
    assert asked.device is not None
    what = "The whole model" if asked.full else f"Even {run.depth} layers of {asked.model.id}"
    advice = "leave out --full, which two small depths replace" if asked.full else "set a smaller --micro-batch-size"
    return (
        f"{what} at {asked.workload.micro_batch_size:,} × {length:,} tokens may need {gib(run.needed_bytes)}, and "
        f"{asked.device.name} has {gib(asked.device.free_bytes)} free: {advice}, or free memory "
        "(`vram-advisor detect` shows what holds it)."
    )


def _notes(asked: Asked, longest: int, length: int) -> tuple[str, ...]:
    said = []
    if length < longest:
        why = "does not fit" if asked.backend != "cpu" else "does not fit or takes too long on a processor"
        said.append(f"Sequences are shortened from {longest:,} to {length:,} tokens: what is longer {why}.")
    if asked.backend == "cpu":
        said.append(
            "On a processor live tensors are followed one by one, and reserved memory is that of a simulated allocator."
        )
        if quantization(asked.plan.quantization).is_quantised:
            said.append(
                "bitsandbytes computes quantised layers differently on a processor: temporaries of the layers are not "
                "those of a GPU."
            )
    return tuple(said)
