"""Fits the allocator's slack on the ledger of training runs, and judges it with one source left out in turn.

Six shares of what comes and goes in a step and a constant are fitted, by least absolute errors of ln(reserved), each
source weighing the same and errors to the low side, which cost a crash, counting double. Prints the coefficients (to be written into ``domain/coefficients.py`` by hand) and the errors
in and out of sample.

Run: python benchmarks/fit_slack.py
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.ledger import read_ledger, readings
from vram_advisor.accuracy.training_rows import training_cases
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.memory.allocator import causes
from vram_advisor.memory.overhead import communication_bytes, context_bytes, workspace_bytes
from vram_advisor.memory.resident import residents
from vram_advisor.memory.setup import set_up
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.memory.training_parts import humps
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import AdvisorError

Array = npt.NDArray[np.float64]
NAMES = (
    "slack_loss",
    "slack_fused_loss",
    "slack_layer",
    "slack_step",
    "slack_gathered",
    "slack_varied",
    "slack_constant",
)
START = np.full(len(NAMES), 0.3)
"""What a source alone in showing a cause is judged with when it is left out."""


@dataclass(frozen=True)
class Points:
    """One row per measured figure [GiB]."""

    source: npt.NDArray[np.str_]
    allocated: Array
    features: Array
    reserved: Array
    room: Array


def collect(path: Path) -> Points:
    """Reserved memory of every row of quality A; of process meters without context and communication."""
    source, allocated, features, reserved, room = [], [], [], [], []
    for row in read_ledger(path).rows:
        cases = training_cases(row)
        if isinstance(cases, Refusal) or row["quality"] != "A":
            continue
        case = cases[0]
        try:
            value = estimate_training(case.model, case.workload, case.plan, case.recipe, case.device)
            setup = set_up(case.model, case.workload, case.plan, case.recipe)
        except (AdvisorError, AssertionError):
            continue
        resident = residents(setup, workspace_bytes(case.device, case.coefficients or NOMINAL, 2)).by_phase
        totals = {p.phase: p.allocated_bytes for p in value.phases}
        h = causes(humps(setup, list(value.components), totals, resident, value.peak.phase))
        found = {r.meter: r.measured for r in readings("training", row)}
        context = context_bytes(case.device, case.coefficients or NOMINAL)[0] + communication_bytes(case.plan)[0]
        figure = found.get("reserved") or (found["process"] - context if "process" in found else None)
        if figure is None:
            continue
        source.append(row["source"])
        allocated.append(found.get("allocated", value.peak.allocated_bytes.mid) / GIB)
        features.append([h.get(name, 0.0) / GIB for name in NAMES])
        reserved.append(figure / GIB)
        room.append((case.device.total_bytes * 0.99 - context) / GIB if case.device else np.inf)
    return Points(*(np.array(a) for a in (source, allocated, features, reserved, room)))


def predict(k: Array, p: Points) -> Array:
    """Reserved memory [GiB]."""
    least = p.allocated * 1.01
    return np.asarray(np.maximum(np.minimum(p.allocated + p.features @ k, np.maximum(p.room, least)), least))


def cost(k: Array, p: Points, use: npt.NDArray[np.bool_]) -> float:
    """Mean over sources of the mean absolute error of ln(reserved), a figure that is too small counting double."""
    error = np.log(predict(k, p) / p.reserved)
    error = np.where(error < 0, -2 * error, error)
    return float(np.mean([error[use & (p.source == s)].mean() for s in np.unique(p.source[use])]))


def fit(p: Points, use: npt.NDArray[np.bool_]) -> Array:
    """Coordinate descent with shrinking steps; the cost is piecewise smooth in six numbers."""
    k, best = START.copy(), cost(START, p, use)
    step = 0.5
    while step > 1e-3:
        moved = False
        for i, sign in itertools.product(range(len(k)), (1, -1)):
            trial = k.copy()
            trial[i] = max(0.0, trial[i] + sign * step * max(0.1, k[i]))
            value = cost(trial, p, use)
            if value < best - 1e-7:
                k, best, moved = trial, value, True
        step *= 1.0 if moved else 0.5
    return k


def main() -> None:
    """Print both figures of every source."""
    p = collect(Path(__file__).parent.parent / "data/measurements/training.csv")
    everything = np.ones(len(p.source), dtype=bool)
    k = fit(p, everything)
    print("all sources:", dict(zip(NAMES, k.round(3).tolist(), strict=True)))
    for s in np.unique(p.source):
        out = fit(p, p.source != s)
        for name, coefficients in (("in", k), ("out", out)):
            error = np.abs(predict(coefficients, p) / p.reserved - 1)[p.source == s]
            print(
                f"{s:22s} {name:3s} n={len(error):3d} median {np.median(error):.3f} p90 {np.quantile(error, 0.9):.3f}"
            )
        print(" " * 22, dict(zip(NAMES, out.round(3).tolist(), strict=True)))


if __name__ == "__main__":
    main()
