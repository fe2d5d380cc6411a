"""``vram-advisor sweep``: many questions at once, as rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from vram_advisor.cli.check import ASKED, LEVERS
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import narrate, print_json, print_lines, progress
from vram_advisor.domain.plan import Plan, Workload

if TYPE_CHECKING:
    from vram_advisor.domain.sweep import SweepProgress


def sweep(
    *,
    output: Annotated[Path, Parameter(help="File that is written: .parquet, by the extra sweep, or .csv.")],
    questions: Annotated[
        Path | None, Parameter(help="TOML or JSON: options with lists of values; models, gpus, and plans as tables.")
    ] = None,
    models: Annotated[tuple[str, ...], Parameter(help="Models of the catalogue; without it all.")] = (),
    gpus: Annotated[tuple[str, ...], Parameter(help="Cards of the catalogue; without it all.")] = (),
    vary: Annotated[
        tuple[str, ...],
        Parameter(help="An option and its values, such as micro_batch_size=1,2,4; several are crossed."),
    ] = (),
    processes: Annotated[int | None, Parameter(help="Processes that estimate; without it one a processor.")] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Say how many answers it would be, and end.")] = False,
    json: Annotated[bool, Parameter(negative=(), help="Print what was written as JSON.")] = False,
    workload: Annotated[Workload | None, Parameter(name="*", group=ASKED)] = None,
    plan: Annotated[Plan | None, Parameter(name="*", group=LEVERS)] = None,
) -> int:
    """Answer models x cards x plans, each with each, into a file of rows.

    What is stopped, by whatever, goes on with the same command.
    """
    from vram_advisor import api

    if processes is not None and processes < 1:
        narrate(f"--processes {processes}: should be 1 or more.")
        return ExitCode.BAD_INPUT
    asked = api.plan_sweep(questions, models=models, gpus=gpus, vary=vary, workload=workload, plan=plan)
    axes = (("model", asked.models), ("card", asked.cards), ("plan", asked.questions))
    counts = " x ".join(f"{len(values):,} {name}{'s' if len(values) != 1 else ''}" for name, values in axes)
    if dry_run:
        if json:
            from vram_advisor.report.sweep_document import sweep_document

            print_json(sweep_document(asked, None))
        else:
            print_lines([((f"{counts} = {asked.rows:,} answers", ""),)])
        return ExitCode.ANSWERED
    latest: list[SweepProgress] = []

    def hear(event: SweepProgress) -> None:
        latest[:] = [event]
        progress(progress_line(event))

    try:
        done = api.sweep(asked, output, hear=hear, processes=processes)
    except KeyboardInterrupt:
        progress("")
        models_done = latest[0].models_done if latest else 0
        narrate(f"stopped after {models_done:,} of {len(asked.models):,} models; the same command goes on from there.")
        return ExitCode.INTERRUPTED
    progress("")
    outcomes = dict(done.outcomes)
    if json:
        from vram_advisor.report.sweep_document import sweep_document

        print_json(sweep_document(asked, done))
    else:
        shares = ", ".join(f"{count / done.rows:.1%} {name}" for name, count in outcomes.items() if count)
        resumed = f", {done.progress.resumed:,} models kept from before" if done.progress.resumed else ""
        text = f"{done.file}: {counts} = {done.rows:,} answers in {done.progress.seconds:.0f} s{resumed}. {shares}."
        print_lines([((text, ""),)])
    return ExitCode.ANSWERED


def progress_line(event: SweepProgress) -> str:
    """A bar, how much is done, and how long it will take.

    >>> from vram_advisor.domain.sweep import SweepProgress
    >>> progress_line(SweepProgress(50, 100, 7_000_000, 0, 20.0))
    '[##########..........] 50 of 100 models, 7,000,000 answers, about 20 s left'
    """
    share = event.models_done / event.models
    fresh = event.models_done - event.resumed
    left = event.seconds / fresh * (event.models - event.models_done) if fresh > 0 else None
    bar = "#" * round(20 * share)
    ends = "" if left is None else f", about {left:.0f} s left"
    return f"[{bar:.<20}] {event.models_done:,} of {event.models:,} models, {event.rows:,} answers{ends}"
