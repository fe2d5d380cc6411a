"""Fits the shares of a card's rates that generation and prompts reach on the ledger of their speeds, and judges them with
one source, then one GPU left out in turn.

Two fits that share nothing, one of generation, one of prompts. Each is a damped least-squares fit of ln(tokens/s) in
the logarithms of the shares, outliers weighing less, each source weighing as the root of the root of its rows; a prior
holds a share that no row speaks of at what one would assume without the ledger. Prints the shares (to be written into
``domain/efficiencies.py`` by hand) and the errors in and out of sample.

Run: python benchmarks/fit_speed.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vram_advisor.accuracy.ledger import Row, read_ledger
from vram_advisor.accuracy.speed_rows import speed_row
from vram_advisor.domain.efficiencies import EFFICIENCIES, Efficiencies
from vram_advisor.domain.throughput import Speed
from vram_advisor.sources.data_files import data_path

Array = npt.NDArray[np.float64]

PRIOR_SD = 0.7
"""Of the logarithm of a share that no row speaks of."""
OUTLIER = 0.2
"""Errors of ln(tokens/s) from which a row weighs less."""
STEP = 1e-3
ROUNDS = 12

DECODE = {
    "decode_gddr": 0.75, "decode_hbm": 0.75, "decode_unified": 0.75, "decode_other": 0.75, "decode_blocks": 0.9,
    "decode_cache": 0.5, "decode_layer": 3e-5, "decode_layer_eager": 6e-4, "decode_gpu": 2e-4,
}  # fmt: skip
PREFILL = {
    "prefill_geforce": 0.4, "prefill_workstation": 0.4, "prefill_hopper": 0.3, "prefill_metal": 0.5,
    "prefill_radeon": 0.3, "prefill_unified": 0.3, "prefill_blocks": 0.85, "prefill_experts": 0.7,
    "prefill_packed": 0.4, "prefill_framework": 0.8,
}  # fmt: skip


def changed(names: Sequence[str], priors: Array, logs: Array) -> Efficiencies:
    """The efficiencies with other shares."""
    values = priors * np.exp(logs)
    found = {
        name: replace(getattr(EFFICIENCIES, name), value=float(value))
        for name, value in zip(names, values, strict=True)
    }
    return replace(EFFICIENCIES, **found)


def errors(rows: Sequence[Row], efficiencies: Efficiencies) -> Array:
    """Errors of ln(tokens/s)."""
    found = []
    for row in rows:
        speed = speed_row(row, efficiencies)
        assert isinstance(speed, Speed)
        found.append(math.log(float(speed.tokens_per_second.mid) / float(row["tokens_per_s"])))
    return np.array(found)


def fit(rows: Sequence[Row], start: dict[str, float]) -> Efficiencies:
    """Shares that the rows ask for."""
    names, priors = tuple(start), np.array(tuple(start.values()))
    counts = {row["source"]: sum(other["source"] == row["source"] for other in rows) for row in rows}
    weights = np.array([counts[row["source"]] ** -0.5 for row in rows])
    logs = np.zeros(len(names))
    for _ in range(ROUNDS):
        base = errors(rows, changed(names, priors, logs))
        moved = np.empty((len(rows), len(names)))
        for i in range(len(names)):
            shifted = logs.copy()
            shifted[i] += STEP
            moved[:, i] = (errors(rows, changed(names, priors, shifted)) - base) / STEP
        w = weights / np.sqrt(1 + (base / OUTLIER) ** 2) / OUTLIER**2
        normal = moved.T @ (moved * w[:, None]) + np.eye(len(names)) / PRIOR_SD**2
        step = np.linalg.solve(normal, -moved.T @ (w * base) - logs / PRIOR_SD**2)
        logs = logs + np.clip(step, -0.5, 0.5)
    return changed(names, priors, logs)


def judged(title: str, rows: Sequence[Row], efficiencies: Efficiencies) -> Array:
    """Errors of ln(tokens/s), printed, and whether the intervals hold them."""
    found = errors(rows, efficiencies)
    inside = []
    for row, error in zip(rows, found, strict=True):
        speed = speed_row(row, efficiencies)
        assert isinstance(speed, Speed)
        inside.append(abs(error) <= 1.645 * float(speed.sd))
    relative = np.abs(np.expm1(found))
    print(
        f"  {title:20} {len(rows):4} rows  median {np.median(relative):6.1%}  p90 {np.quantile(relative, 0.9):6.1%}"
        f"  bias {np.mean(found):+.2f}  inside {np.mean(inside):4.0%}"
    )
    return np.column_stack([relative, inside])


def rows_of(test: str) -> list[Row]:
    """The rows of one kind of speed that are not refused."""
    rows = read_ledger(data_path("measurements/throughput.csv")).rows
    return [row for row in rows if row["test"] == test and isinstance(speed_row(row, EFFICIENCIES), Speed)]


def report(title: str, rows: Sequence[Row], start: dict[str, float]) -> None:
    """Fit and judge one kind of speed."""
    sources = tuple(dict.fromkeys(row["source"] for row in rows))
    fitted = fit(rows, start)
    print(f"\n{title}: shares")
    for name in start:
        print(f"  {name:20} {getattr(fitted, name).value:.3g}  (written: {getattr(EFFICIENCIES, name).value:.3g})")
    print(f"{title}: as written")
    for source in sources:
        judged(source, [row for row in rows if row["source"] == source], EFFICIENCIES)
    for column, what in (("source", "source"), ("gpu", "GPU")):
        print(f"{title}: each {what} by the others")
        everything = np.concatenate(list(left_out(rows, start, column).values()))
        summed_up(f"all, by {what}", everything)


def left_out(rows: Sequence[Row], start: dict[str, float], column: str) -> dict[str, Array]:
    """Errors and whether the intervals hold them, of the rows of each source or GPU by a fit without any of them."""
    found = {}
    for name in dict.fromkeys(row[column] for row in rows):
        others = fit([row for row in rows if row[column] != name], start)
        found[name] = judged(name, [row for row in rows if row[column] == name], others)
    return found


def summed_up(title: str, everything: Array) -> None:
    """One line over all rows."""
    print(
        f"  {title:20} {len(everything):4} rows  median {np.median(everything[:, 0]):6.1%}"
        f"  p90 {np.quantile(everything[:, 0], 0.9):6.1%}  inside {np.mean(everything[:, 1]):4.0%}"
    )


def main() -> None:
    """Fit and print both."""
    report("decode", rows_of("decode"), DECODE)
    report("prefill", rows_of("prefill"), PREFILL)


if __name__ == "__main__":
    main()
