"""``vram-advisor calibrate``: short real runs that correct the coefficients for this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vram_advisor import api
from vram_advisor.calibration.interrupts import all_as_interrupt
from vram_advisor.cli.check import ASKED, LEVERS
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.output import (
    narrate,
    narrate_lines,
    print_event,
    print_lines,
    progress,
    terminal_look,
    terminal_width,
)  # fmt: skip
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.protocol import Progress, Protocol
from vram_advisor.domain.trial import Backend
from vram_advisor.units.errors import BadInput


def calibrate(
    *,
    model: Annotated[str, Parameter(help="Alias (7b, llama-3.1-8b), config.json, model folder, or owner/name.")],
    backend: Annotated[Backend | None, Parameter(help="Where it runs; without it the GPU of this machine.")] = None,
    gpu_index: Annotated[int | None, Parameter(help="Which GPU of this machine.")] = None,
    steps: Annotated[int, Parameter(help="Optimizer steps of each run; the first does not count.")] = 3,
    full: Annotated[
        bool, Parameter(negative=(), help="Run the whole model instead of two small depths of it, where it fits.")
    ] = False,
    dataset: Annotated[
        Path | None, Parameter(help="Take the lengths of these examples: JSON lines, text, or one length per line.")
    ] = None,
    time_limit: Annotated[
        int | None, Parameter(help="Seconds after which a run is ended; without it 900, or more for large models.")
    ] = None,
    yes: Annotated[bool, Parameter(negative=(), help="Start without asking.")] = False,
    json: Annotated[bool, Parameter(negative=(), help="Print a line of JSON for each event.")] = False,
    workload: Annotated[Workload | None, Parameter(name="*", group=ASKED)] = None,
    plan: Annotated[Plan | None, Parameter(name="*", group=LEVERS)] = None,
) -> int:
    """Run the real training code for a few steps, measure its memory, and correct the predictions for this machine."""
    if time_limit is not None and time_limit < 1:
        raise BadInput(f"--time-limit {time_limit}: should be at least 1 second.")
    protocol = api.plan_calibration(
        model,
        backend=backend,
        gpu_index=gpu_index,
        steps=steps,
        full=full,
        dataset=dataset,
        workload=workload,
        plan=plan,
    )
    _announce(protocol, json)
    if not (yes or json) and not _agreed():
        return ExitCode.ANSWERED
    with all_as_interrupt():
        try:
            done = api.calibrate(protocol, time_limit=time_limit, hear=_teller(protocol, json))
        finally:
            progress("")
    if json:
        from vram_advisor.report.calibration_document import calibrated_document

        print_event(calibrated_document(done))
    else:
        from vram_advisor.report.calibrating import calibrated_lines

        print_lines(calibrated_lines(done, terminal_width()))
    return ExitCode.ANSWERED if done.saved is not None else ExitCode.MISSING


def _announce(protocol: Protocol, json: bool) -> None:
    """Say what will run, before it does."""
    if json:
        from vram_advisor.report.calibration_document import planned_document

        print_event(planned_document(protocol))
    else:
        from vram_advisor.report.calibrating import plan_lines

        narrate_lines(plan_lines(protocol, terminal_width()))


def _agreed() -> bool:
    """Ask where somebody can answer; elsewhere the command itself is the answer."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        return True
    progress("Start? [Y/n] ")
    answer = sys.stdin.readline()
    # An empty line says yes; the end of the input says nothing.
    return answer.strip().lower() in ("y", "yes") if answer.strip() else bool(answer)


def _teller(protocol: Protocol, json: bool) -> Callable[[Progress], None]:
    """Shows what happens: a line that changes in a terminal, or one object per event."""
    if json:
        from vram_advisor.report.calibration_document import progress_document

        return lambda event: print_event(progress_document(event))
    from vram_advisor.report.calibrating import progress_line

    unicode = terminal_look().unicode

    def tell(event: Progress) -> None:
        if event.event == "lost":
            progress("")
            narrate(f"run {event.run} of {event.runs} is lost: {event.message}")
        progress(progress_line(event, protocol, unicode))

    return tell
