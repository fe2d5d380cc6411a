"""What a caching allocator would take for the steps of a trial, on tensors without memory (torch)."""

import gc
from dataclasses import replace

from vram_advisor.calibration.caching_allocator import replay
from vram_advisor.calibration.fake_cuda import usable_device
from vram_advisor.calibration.fake_tensors import fake_tensors
from vram_advisor.calibration.kernel_temporaries import GPU
from vram_advisor.calibration.priors import GPUS
from vram_advisor.calibration.stand_ins import building
from vram_advisor.calibration.tracker import Tracker
from vram_advisor.calibration.training_step import build
from vram_advisor.domain.trial import Trial

ALIKE = 3
"""Steps after which steps of one length find all that they need in the cache."""
VARIED = 16
"""Steps that are followed where lengths vary; the last ones, among which is the longest."""


def simulated_reserved_bytes(trial: Trial) -> int:
    """The most that a simulated allocator takes in the steps of a trial, from the model on [B].

    Tensors follow the rules of the device that the trial runs on, a GPU or the processor.

    Raises:
        NotModelled, BadInput, Missing: the combination does not run here.
    """
    gpu = trial.backend in GPUS
    device = usable_device() if gpu else "cpu"
    trial = replace(trial, backend="fake") if gpu else trial
    with fake_tensors(trial.plan, device, of_gpu=gpu):
        with building():
            run = build(trial, device)
        gc.collect()
        tracker = Tracker(device, kernels=GPU if gpu else {})
        tracker.label_model(run.model, "adapters")
        with tracker:
            for step in followed(trial):
                run.step(run.lengths(step), tracker)
        events = list(tracker.events)
        del run, tracker
    gc.collect()
    return replay(events, trial.plan.expandable_segments).peak_reserved_bytes


def followed(trial: Trial) -> range:
    """The steps that are followed."""
    if trial.lengths:
        return range(max(0, trial.steps - VARIED), trial.steps)
    return range(min(trial.steps, ALIKE))
