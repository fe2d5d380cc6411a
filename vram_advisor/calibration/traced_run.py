"""A training step on tensors without memory, and what it allocates (torch)."""

import gc
import time
from collections.abc import Hashable
from dataclasses import dataclass, replace

from vram_advisor.calibration.caching_allocator import replay
from vram_advisor.calibration.depths import Pattern, at_depth, layer_count, pattern
from vram_advisor.calibration.extrapolation import Moment, Unequal, extrapolated, phases_of
from vram_advisor.calibration.fake_attention import gpu_attention
from vram_advisor.calibration.fake_cuda import usable_device
from vram_advisor.calibration.fake_tensors import fake_tensors
from vram_advisor.calibration.host_memory import largest_resident_bytes
from vram_advisor.calibration.layer_kinds import kinds_of
from vram_advisor.calibration.stand_ins import building
from vram_advisor.calibration.tracker import Tracker
from vram_advisor.calibration.trained_model import check_trial, configuration
from vram_advisor.calibration.training_step import build
from vram_advisor.calibration.versions import installed
from vram_advisor.domain.trace import Trace
from vram_advisor.domain.trial import Trial
from vram_advisor.units.errors import NotModelled

ON_PROCESSOR = (
    "This installation of PyTorch cannot differentiate tensors that pretend to lie on a GPU, so they pretended to lie on "
    "the processor; what a GPU does differently was put in its place."
)


@dataclass(frozen=True, slots=True)
class Observed:
    """One step."""

    moments: list[Moment]
    """The largest of each window."""
    resident_bytes: int
    """Alive before it [B]."""
    events: list[tuple[int, int]]
    """Allocations and frees since the model was there (``Tracker.events``)."""
    cut_to: int | None
    """Tokens that sequences were cut to, since the model has learned no more positions."""


def observe(trial: Trial, device: str, from_the_start: bool = False) -> Observed:
    """Build the model of a trial without memory and follow a step of it that is not the first.

    Args:
        trial: with every choice of the plan made.
        device: cuda or cpu, as ``usable_device`` says.
        from_the_start: make the first step too, so that allocations come in their real order; otherwise the states of
            the optimizer are there without it, unless the stack keeps more than them from step to step.

    Raises:
        NotModelled, BadInput, Missing: the combination does not run here.
    """
    with fake_tensors(trial.plan, device):
        with building():
            run = build(trial, device)
        gc.collect()
        tracker = Tracker(device, run.vocabulary)
        with tracker:
            tracker.label_model(run.model, "weights" if trial.workload.method == "full" else "adapters")
            if from_the_start or run.recipe.outputs_kept:
                run.step(run.lengths(0), tracker)
            else:
                run.make_states()
            tracker.enter("between steps")
            tracker.label_optimizer(run.optimizer)
            resident, before = tracker.live_bytes, len(tracker.windows)
            run.step(run.lengths(0), tracker)
            tracker.enter("between steps")
        asked = trial.workload.sequence_length
        cut = run.positions if run.positions is not None and run.positions < asked else None
        observed = Observed(tracker.moments()[before:-1], resident, tracker.events, cut)
        del run, tracker
    gc.collect()
    return observed


def traced(trial: Trial, full_depth: bool = False, device: str | None = None) -> Trace:
    """A step at the full depth of a trial's model.

    Args:
        trial: with every choice of the plan made.
        full_depth: run all layers, which also tells what a caching allocator would reserve.
        device: cuda or cpu; None: cuda where it works.

    Raises:
        NotModelled, BadInput, Missing: the combination does not run here.
    """
    began = time.perf_counter()
    check_trial(trial)
    usable = "cpu" if device == "cpu" else usable_device()
    if device == "cuda" and usable == "cpu":
        raise NotModelled(f"{ON_PROCESSOR.split(',')[0]}: trace with device cpu.")
    # As transformers completes it: keys that are left out, a kind for each layer.
    trial = replace(trial, config=configuration(trial).to_dict())
    layers = layer_count(trial.config)
    with gpu_attention():
        kinds = kinds_of(trial)
    found = pattern(kinds)
    runs: list[Observed] = []
    if len(found.depths) == 2 and not full_depth:
        runs = _at_depths(trial, kinds, found, usable)
    try:
        moments = extrapolated(runs[0].moments, runs[1].moments, found) if runs else []
    except Unequal:
        moments, runs = [], []
    if runs:
        times = (layers - found.short) // found.group
        first, second = runs[0].resident_bytes, runs[1].resident_bytes
        depths, resident, reserved = found.depths, first + times * (second - first), None
        cut = runs[0].cut_to
    else:
        whole = observe(trial, usable, from_the_start=full_depth)
        moments, depths, resident, cut = whole.moments, (layers,), whole.resident_bytes, whole.cut_to
        reserved = replay(whole.events, trial.plan.expandable_segments).peak_reserved_bytes if full_depth else None
    return Trace(
        phases=phases_of(moments),
        resident_bytes=resident,
        reserved_bytes=reserved,
        depths=depths,
        device=usable,
        seconds=time.perf_counter() - began,
        host_bytes=largest_resident_bytes(),
        versions=installed(),
        notes=_notes(usable, cut),
    )


def _notes(device: str, cut_to: int | None) -> tuple[str, ...]:
    said = [ON_PROCESSOR] if device == "cpu" else []
    if cut_to is not None:
        said.append(f"The model has learned {cut_to:,} positions: longer sequences are cut.")
    return tuple(said)


def _at_depths(trial: Trial, kinds: list[Hashable], found: Pattern, device: str) -> list[Observed]:
    """The step at both depths; nothing where a shortened model has other layers than the whole one."""
    shorts = [replace(trial, config=at_depth(trial.config, depth, found)) for depth in found.depths]
    for short, depth in zip(shorts, found.depths, strict=True):
        with gpu_attention():
            if kinds_of(short) != kinds[: depth - found.rest] + kinds[len(kinds) - found.rest :]:
                return []
    return [observe(short, device) for short in shorts]
