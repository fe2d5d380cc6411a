"""A calibration in words: what it will run, how far it is, and what it learnt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vram_advisor.domain.protocol import PlannedRun, Progress, Protocol
from vram_advisor.report.calibration_words import NAMES
from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.sizes import percent, size
from vram_advisor.units.bytes import GIB, MIB, gib

if TYPE_CHECKING:
    from vram_advisor.calibration.calibrate import Calibrated
    from vram_advisor.calibration.fit import Compared
    from vram_advisor.domain.calibration import Learnt

BACKENDS = {
    "cuda": "on the GPU",
    "rocm": "on the GPU",
    "mps": "on the GPU",
    "xpu": "on the GPU",
    "cpu": "on the processor",
    "fake": "on tensors without memory",
}
CHANNELS = {
    "resident": "between steps",
    "allocated": "allocated peak",
    "reserved": "reserved peak",
    "simulated": "reserved, simulated",
    "context": "CUDA context",
    "process": "process",
    "step_seconds": "time of a step",
}
"""What a figure is called; those that are not bytes by themselves."""
FACTORS = frozenset({"activation_scale", "slack_scale", "simulation_scale", "throughput_efficiency"})
BAR = 20
"""Cells of the bar of a calibration."""


def plan_lines(protocol: Protocol, width: int) -> Iterator[Line]:
    """What will run, what it takes, and what was changed from what was asked."""
    trial = protocol.runs[0].trial
    what = f"{trial.workload.method} of {protocol.model.id}, recipe {trial.plan.recipe}"
    device = f", {protocol.device.name}" if protocol.device else ""
    yield from wrapped(line(f"Calibrating {what}, {BACKENDS[protocol.backend]}{device}", "bold"), width)
    yield from wrapped(
        line(
            f"The real training code runs {_runs(len(protocol.runs))} of {trial.steps} steps, with random weights, each "
            f"in a process of its own. Nothing is downloaded. {_needs(protocol)}, and about "
            f"{duration(protocol.seconds)} in all."
        ),
        width,
    )
    yield from indented(table(_RUN_COLUMNS, [_row(i, run) for i, run in enumerate(protocol.runs, 1)], width - 2))
    for note in protocol.notes:
        yield from wrapped(line(f"- {note}", "dim"), width, hanging=2)


_RUN_COLUMNS = (
    Column("run", "right"), Column("layers", "right"), Column("tokens", "right"), Column("may need", "right"),
    Column("time", "right", optional=1),
)  # fmt: skip


def _row(number: int, run: PlannedRun) -> Sequence[Line]:
    seconds = duration(run.seconds)
    return tuple(line(cell) for cell in (str(number), str(run.depth), shape(run), gib(run.needed_bytes), seconds))


def _needs(protocol: Protocol) -> str:
    free = "" if protocol.device is None else f" of {gib(protocol.device.free_bytes)} free"
    return f"The largest may need {gib(protocol.needed_bytes)}{free}"


def shape(run: PlannedRun) -> str:
    """Batch and length of a run."""
    work = run.trial.workload
    varied = "up to " if run.trial.lengths else ""
    return f"{work.micro_batch_size} × {varied}{work.sequence_length:,}"


def duration(seconds: float) -> str:
    """A rough time.

    >>> duration(25), duration(170)
    ('25 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{math.ceil(seconds / 60):.0f} min"


def progress_line(progress: Progress, protocol: Protocol, unicode: bool) -> str:
    """How far it is, in one line."""
    if progress.event == "simulating":
        return f"{'█' * BAR if unicode else '#' * BAR} simulating the allocator for the same steps"
    if progress.run == 0:
        return ""
    run = protocol.runs[progress.run - 1]
    over = progress.event in ("measured", "lost")
    of_run = 1.0 if over else progress.step / (progress.steps or run.trial.steps)
    done = (progress.run - 1 + of_run) / len(protocol.runs)
    filled = round(done * BAR)
    full, empty = ("█", "░") if unicode else ("#", "-")
    times = "×" if unicode else "x"
    what = f"run {progress.run} of {len(protocol.runs)}, {run.depth} layers, {shape(run).replace('×', times)} tokens"
    match progress.event:
        case "step":
            held = "" if progress.allocated_bytes is None else f", {size(progress.allocated_bytes)} allocated"
            state = f"step {progress.step} of {progress.steps}{held}"
        case "run":
            state = "starting PyTorch"
        case "started":
            state = "making the model"
        case "built":
            state = "first step"
        case other:
            state = other
    return f"{full * filled}{empty * (BAR - filled)} {what}: {state}"


def calibrated_lines(done: Calibrated, width: int) -> Iterator[Line]:
    """Predicted before, measured, predicted after, and what was learnt."""
    yield from wrapped(line("Predicted before, measured, predicted after", "bold"), width)
    columns = (
        Column("run", "right"), Column("tokens", "right", optional=3), Column("figure", flexible=True),
        Column("before", "right"), Column("measured", "right"), Column("after", "right"),
        Column("off", "right", optional=2), Column("then", "right", optional=1),
    )  # fmt: skip
    rows = [_figure_row(done, figure) for figure in shown(done.compared)]
    yield from indented(table(columns, rows, width - 2))
    yield BLANK
    if done.calibration.learnt:
        yield line("What changed", "bold")
        learnt = [_learnt_row(row) for row in done.calibration.learnt]
        headings = (
            Column("coefficient", flexible=True), Column("before", "right"), Column("after", "right"),
            Column("", flexible=True, optional=1),
        )  # fmt: skip
        yield from indented(table(headings, learnt, width - 2))
    else:
        yield from wrapped(line("Nothing changed: the runs say nothing about any coefficient."), width)
    for note in done.notes:
        yield from wrapped(line(f"- {note}", "warning"), width, hanging=2)
    if done.saved is not None:
        use = "`check` uses it where it applies"
        if done.protocol.backend in ("cpu", "fake"):
            use = "what was not measured on a GPU does not correct answers about one"
        yield from wrapped(line(f"Kept as {done.calibration.id}; {use}.", "dim"), width)


def shown(compared: Sequence[Compared]) -> list[Compared]:
    """Of the phases of a run the worst one, and all other figures."""
    worst: dict[int, Compared] = {}
    for figure in compared:
        if figure.channel == "allocated":
            before = worst.get(figure.run)
            if before is None or figure.measured > before.measured:
                worst[figure.run] = figure
    return [f for f in compared if f.channel != "allocated" or worst[f.run] is f]


def _figure_row(done: Calibrated, figure: Compared) -> Sequence[Line]:
    off = [
        percent(abs(each / figure.measured - 1), 2) if figure.measured else "" for each in (figure.before, figure.after)
    ]
    least = "at least " if figure.at_least else ""
    title = CHANNELS[figure.channel] + (" (doubtful)" if figure.doubtful else "")
    measurement = done.calibration.measurements[figure.run]
    values = (_value(figure.channel, figure.before), least + _value(figure.channel, figure.measured), _value(figure.channel, figure.after))  # fmt: skip
    work = measurement.trial.workload
    tokens = f"{work.micro_batch_size} × {work.sequence_length:,}"
    number = next((i for i, run in enumerate(done.protocol.runs, 1) if run.trial == measurement.trial), 0)
    cells = (str(number), tokens, title, *values, *off)
    return tuple(line(cell) for cell in cells)


def _value(channel: str, value: float) -> str:
    if channel == "step_seconds":
        return f"{value:.2f} s"
    return f"{value / GIB:.3f} GiB" if value >= GIB / 10 else f"{value / MIB:.1f} MiB"


def _learnt_row(row: Learnt) -> Sequence[Line]:
    said = "at its bound: is the recipe yours?" if row.bounded else ""
    before, after = (_coefficient(row.name, v, sd) for v, sd in ((row.prior, row.prior_sd), (row.value, row.sd)))
    return (line(NAMES.get(row.name, row.name)), line(before), line(after, "bold"), line(said, "warning"))


def _coefficient(name: str, value: float, sd: float) -> str:
    if name in FACTORS:
        return f"× {value:.3f} ± {sd:.3f}"
    if name == "slack_constant":
        return f"{value:.3f} ± {sd:.3f} GiB"
    scale = MIB if name.startswith("cublas") else 1
    return f"{value / scale:.0f} ± {sd / scale:.0f} MiB"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
