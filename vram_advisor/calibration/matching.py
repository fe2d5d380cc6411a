"""Which calibration serves a question best, and how much of it carries over.

What was measured elsewhere is evidence, not truth: a coefficient that was learnt under other conditions is taken as a
normal number with a correlation of less than one to the one that is asked about, so half a correlation moves the value
half as far and leaves most of the spread. The correlations are judgements, written out in ``CARRIED`` and ``LESS``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.domain.answer import AppliedCalibration, Kinship
from vram_advisor.domain.calibration import Calibration, Learnt, corrected
from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.trial import Backend
from vram_advisor.sources.catalog_gpus import match_reported
from vram_advisor.sources.gpu_names import key as spelling

CARRIED: dict[Kinship, dict[str, float]] = {
    "gpu and recipe": {
        "context_base": 1.0, "cublas_workspace": 1.0, "cublas_workspace_hopper": 1.0,
        "slack_scale": 1.0, "slack_constant": 1.0, "simulation_scale": 1.0, "activation_scale": 1.0,
        "throughput_efficiency": 1.0,
    },
    "gpu": {
        "context_base": 1.0, "cublas_workspace": 1.0, "cublas_workspace_hopper": 1.0,
        "slack_constant": 0.5, "simulation_scale": 0.5, "throughput_efficiency": 0.5,
    },
    "recipe": {"activation_scale": 1.0, "slack_scale": 0.5, "simulation_scale": 0.5},
}  # fmt: skip
"""Correlation with what was learnt. Context and workspaces belong to a card and its driver, activations to the code that
a recipe runs; of the allocator's slack the constant belongs to the process on a card and the scale to the recipe, and
since both were learnt as a pair, either alone counts half; what a simulated allocator misses belongs half to the process
and half to the step; speed is of one card with one recipe."""
LESS: dict[str, dict[str, float]] = {
    "torch": {
        "context_base": 0.5, "cublas_workspace": 0.5, "cublas_workspace_hopper": 0.5,
        "slack_scale": 0.5, "slack_constant": 0.5, "simulation_scale": 0.5, "activation_scale": 0.5,
        "throughput_efficiency": 0.5,
    },
    "driver": {"context_base": 0.5},
    "levers": {"activation_scale": 0.5, "slack_scale": 0.5, "simulation_scale": 0.5, "throughput_efficiency": 0.5},
    "allocator": {"slack_scale": 0.0, "slack_constant": 0.0, "simulation_scale": 0.0},
    "program": {
        "activation_scale": 0.5, "slack_scale": 0.5, "slack_constant": 0.5, "simulation_scale": 0.5,
        "throughput_efficiency": 0.5,
    },
}  # fmt: skip
"""Factors on the correlation where something differs; ``program``: the memory model itself may have changed."""
LEVERS = ("quantization", "attn_implementation", "loss", "gradient_checkpointing", "mixed_precision", "weights_dtype")
"""Fields of a plan that decide which kernels run."""
OUTSIDE_OF_STEPS = ("context_base", "cublas_workspace", "cublas_workspace_hopper")
"""What a training run teaches about inference."""
CLOSED_FORM_ONLY = frozenset({"activation_scale", "slack_scale", "slack_constant"})
"""What an answer from a trace with a simulated allocator has no use for."""
NO_GPU: tuple[Backend, ...] = ("cpu", "fake")
"""Their kernels are not those of a card: what they teach stays with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked about."""

    device: Device
    workload: Workload
    plan: Plan
    """With every choice made."""
    program: str
    """Version of this program."""
    torch: str | None = None
    """Major and minor version that is installed; None: not known, and then no difference."""
    traced: bool = False
    """The answer comes from a trace of the real code."""

    @property
    def simulates(self) -> bool:
        """Whether an allocator can be simulated for it: for one process whose steps are all alike."""
        return self.traced and self.workload.lengths != "varied" and self.plan.num_gpus == 1


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A calibration that says something about a question."""

    calibration: Calibration
    kinship: Kinship
    trains: bool
    """The question is about a fine-tune."""
    differs: tuple[str, ...]
    """Keys of ``LESS``."""
    simulates: bool = False
    """The answer can use a simulated allocator."""


def correction(
    calibrations: Iterable[Calibration], wanted: Wanted, nominal: Coefficients
) -> tuple[Coefficients, AppliedCalibration | None]:
    """Coefficients for a question, and what corrected them; the nominal ones where nothing does."""
    match = best(calibrations, wanted)
    learnt = () if match is None else carried(match, nominal)
    if match is None or not learnt:
        return nominal, None
    made = match.calibration
    applied = AppliedCalibration(made.id, made.created, made.key, match.kinship, match.differs, learnt)
    return corrected(nominal, learnt, f"calibration {made.id}"), applied


def best(calibrations: Iterable[Calibration], wanted: Wanted) -> Match | None:
    """The calibration that serves best: of the nearest kin, with the fewest differences, the newest.

    Calibrations with the same key are not combined: an older one was made before something was installed, updated or
    repaired, or the newer one would not have been made.
    """
    found = [match for each in calibrations if (match := kin(each, wanted)) is not None]
    order = tuple(CARRIED)
    found.sort(key=lambda match: match.calibration.created, reverse=True)
    return min(found, key=lambda match: (order.index(match.kinship), len(match.differs)), default=None)


def kin(calibration: Calibration, wanted: Wanted) -> Match | None:
    """What a calibration has in common with a question; None where it says nothing about it."""
    key, device = calibration.key, wanted.device
    if key.backend in NO_GPU or key.backend != backend_of(device) or not calibration.learnt:
        return None
    gpu = same_card(calibration, device) and key.system == device.system
    recipe = wanted.workload.trains and key.recipe == wanted.plan.recipe
    if not gpu and not recipe:
        return None
    kinship: Kinship = "gpu and recipe" if gpu and recipe else "gpu" if gpu else "recipe"
    differs = []
    if wanted.torch is not None and wanted.torch != key.torch:
        differs.append("torch")
    driver = device.driver.split(".")[0] if device.driver else None
    if driver is not None and key.driver is not None and driver != key.driver:
        differs.append("driver")
    if series(wanted.program) != series(calibration.program):
        differs.append("program")
    # That another recipe has other levers is counted already.
    levers = lever_differences(calibration, wanted.workload, wanted.plan)
    differs += [each for each in levers if recipe or each != "levers"]
    return Match(calibration, kinship, wanted.workload.trains, tuple(differs), wanted.simulates)


def carried(match: Match, nominal: Coefficients) -> tuple[Learnt, ...]:
    """What the calibration says about the question.

    A coefficient with correlation r to what was learnt is normal with mean prior + r·(learnt − prior) and variance
    r²·sd² + (1 − r²)·prior_sd².
    """
    found = []
    simulated = match.simulates and any(row.name == "simulation_scale" for row in match.calibration.learnt)
    for row in match.calibration.learnt:
        if row.name in CLOSED_FORM_ONLY if simulated else row.name == "simulation_scale":
            continue
        r = CARRIED[match.kinship].get(row.name, 0.0)
        if not match.trains and row.name not in OUTSIDE_OF_STEPS:
            r = 0.0
        for difference in match.differs:
            r *= LESS[difference].get(row.name, 1.0)
        if r:
            prior = getattr(nominal, row.name)
            value = prior.value + r * (row.value - prior.value)
            sd = math.sqrt(r**2 * row.sd**2 + (1 - r**2) * prior.sd**2)
            found.append(Learnt(name=row.name, prior=prior.value, prior_sd=prior.sd, value=value, sd=sd, bounded=row.bounded))  # fmt: skip
    return tuple(found)


def lever_differences(calibration: Calibration, workload: Workload, plan: Plan) -> list[str]:
    """Whether other kernels ran, and whether the allocator was set otherwise, than the plan says."""
    if not workload.trains:
        return []
    trials = [each.trial for each in calibration.measurements]
    found = []
    if not any(
        trial.workload.method == workload.method and all(getattr(trial.plan, n) == getattr(plan, n) for n in LEVERS)
        for trial in trials
    ):
        found.append("levers")
    if not any(trial.plan.expandable_segments == plan.expandable_segments for trial in trials):
        found.append("allocator")
    return found


def same_card(calibration: Calibration, device: Device) -> bool:
    """Whether the calibration was made on a card of this kind."""
    named = calibration.key.gpu
    if spelling(named) == spelling(device.name):
        return True
    totals = (m.environment.total_bytes for m in calibration.measurements if m.environment.total_bytes)
    total = next(totals, None)
    if device.spec is None or total is None:
        return False
    card = match_reported(named, total)
    return card is not None and card.id == device.spec.id


def backend_of(device: Device) -> Backend:
    """What PyTorch would run on a card."""
    maker = (device.name if device.spec is None else device.spec.vendor).lower()
    for word, backend in MAKERS.items():
        if maker.startswith(word):
            return backend
    return "cuda"


MAKERS: dict[str, Backend] = {"amd": "rocm", "radeon": "rocm", "apple": "mps", "intel": "xpu"}


def series(version: str) -> tuple[str, ...]:
    """Major and minor: within them the memory model of this program does not change."""
    return tuple(version.split(".")[:2])
