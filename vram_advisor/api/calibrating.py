"""Short real runs, and the calibrations that are kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vram_advisor.advice.options import lacks_bf16, named_quantization, plans
from vram_advisor.api.asking import detect, split, with_choices
from vram_advisor.domain.architectures import build
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.contradictions import refuse_contradictions
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.quantization import quantization as storage
from vram_advisor.domain.recipe import recipe
from vram_advisor.sources import calibrations
from vram_advisor.sources.calibrations import Stored, stored
from vram_advisor.units.errors import BadInput, Missing

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from vram_advisor.calibration.calibrate import Calibrated
    from vram_advisor.domain.calibration import Calibration
    from vram_advisor.domain.protocol import Progress, Protocol
    from vram_advisor.domain.trial import Backend

MOST_STEPS = 10_000
"""Optimizer steps of a calibration run."""


def plan_calibration(
    model: str,
    *,
    backend: Backend | None = None,
    gpu_index: int | None = None,
    steps: int = 3,
    full: bool = False,
    dataset: str | Path | None = None,
    workload: Workload | None = None,
    plan: Plan | None = None,
    **choices: Any,
) -> Protocol:
    """The short runs that would calibrate the predictions for this machine, all of which fit on it.

    Args:
        model: catalogue alias, path to a configuration or folder, or Hugging Face id.
        backend: where they run; None: the GPU of this machine.
        gpu_index: which GPU of this machine.
        steps: optimizer steps of each run.
        full: the whole model instead of two small depths.
        dataset: file whose examples give the lengths of sequences.
        workload, plan, choices: as for ``check``.

    Raises:
        BadInput: a name, file or number cannot be used, or nothing fits.
        Missing: there is no such GPU, or the training code is not installed.
    """
    from vram_advisor.calibration.place import find_place
    from vram_advisor.calibration.protocol import Asked, plan_runs
    from vram_advisor.calibration.versions import require
    from vram_advisor.memory.setup import resolved
    from vram_advisor.sources.configs import resolve_config
    from vram_advisor.sources.dataset import read_lengths

    require("calibrate")
    workload, plan = with_choices(workload or Workload(), plan or Plan(), choices)
    if not workload.trains:
        raise BadInput(
            "--method inference does not train, and fine-tunes are calibrated: use lora, qlora, dora or full."
        )
    if not 2 <= steps <= MOST_STEPS:
        raise BadInput(f"--steps {steps}: should be from 2, as the first does not count, to {MOST_STEPS:,}.")
    plan = replace(plan, target_modules=split(plan.target_modules), modules_to_save=split(plan.modules_to_save))
    named = storage(named_quantization(plan.quantization, plan)) if plan.quantization else None
    refuse_contradictions(workload, plan, named)
    if plan.num_gpus > 1 and plan.sharding == "none":
        plan = replace(plan, sharding="ddp")
    source = resolve_config(model)
    spec = build(source.config, id=source.id)
    lengths = read_lengths(dataset, model) if dataset is not None else None
    place = find_place(detect(), backend, gpu_index, plan.num_gpus)
    if lacks_bf16(place.device):
        plan = replace(plan, weights_dtype=plan.weights_dtype or "fp16")
    _, plan = plans(spec, workload, plan, plan.quantization, place.device)[0]
    plan = resolved(workload, plan, recipe(plan.recipe))
    tokens = lengths.tokens if lengths else ()
    asked = Asked(source.config, spec, workload, plan, place.backend, place.device, steps, full, tokens)
    protocol = replace(plan_runs(asked), gpu_index=gpu_index)
    if lengths:
        counted = f"The dataset has {len(tokens):,} examples of up to {max(tokens):,} tokens, counted {lengths.how}."
        protocol = replace(protocol, notes=(counted, *protocol.notes))
    return protocol


def calibrate(
    protocol: Protocol,
    *,
    time_limit: float | None = None,
    hear: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    coefficients: Coefficients = NOMINAL,
    save: bool = True,
) -> Calibrated:
    """Make the runs of a protocol, each in a process of its own, and learn from what they measure.

    Args:
        protocol: from ``plan_calibration``.
        time_limit: of each run [s]; None: a quarter of an hour, or five times the rough time of the longest.
        hear: called with what happens.
        stop: set by another thread to end it.
        coefficients: what is believed before.
        save: keep the calibration, so that ``check`` uses it.

    Raises:
        BadInput: another calibration is running, or the runs are refused by the training code.
        Missing: nothing was measured.
    """
    import tempfile

    from vram_advisor.calibration.calibrate import calibrate as make_runs
    from vram_advisor.calibration.lock import only_one
    from vram_advisor.calibration.place import find_place
    from vram_advisor.calibration.supervisor import Limits
    from vram_advisor.domain.protocol import Progress
    from vram_advisor.sources import calibrations
    from vram_advisor.sources.user_data import data_directory

    tell = hear or (lambda event: None)
    place = find_place(detect(), protocol.backend, protocol.gpu_index, protocol.runs[0].trial.processes)
    seconds = time_limit or max(Limits().seconds, 5 * max(run.seconds for run in protocol.runs))
    limits = Limits(seconds, min(seconds, Limits().silence))
    with only_one((data_directory() or Path(tempfile.gettempdir())) / "calibrate.lock"):
        done = make_runs(protocol, place, limits, tell, stop=stop, nominal=coefficients)
        if not save or not done.calibration.learnt:
            return done
        try:
            file = calibrations.save(done.calibration)
        except Missing as error:
            return replace(done, notes=(*done.notes, f"The calibration could not be kept: {error}"))
        tell(Progress(event="saved", message=str(file)))
        return replace(done, saved=str(file))


def list_calibrations() -> Stored:
    """All calibrations that are kept, and the files that cannot be used."""
    return stored()


def find_calibration(name: str) -> Calibration:
    """The calibration of this id, or the only one whose id begins so. Raises BadInput."""
    return calibrations.find(name)


def remove_calibrations(names: Sequence[str]) -> list[str]:
    """Forget calibrations; their ids are returned.

    Raises:
        BadInput: there is no such calibration; those before it are forgotten.
        Missing: the system refuses.
    """
    return [calibrations.remove(name) for name in names]


def export_calibration(name: str, file: str | Path) -> Calibration:
    """Write a calibration to a file that is not there yet. Raises BadInput, Missing."""
    return calibrations.export_to(name, Path(file))


def import_calibration(file: str | Path) -> Calibration:
    """Keep the calibration of a file from elsewhere, whatever is in it. Raises BadInput, Missing."""
    return calibrations.import_from(Path(file))
