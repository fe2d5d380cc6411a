"""``vram-advisor trace``: the real training code on tensors without memory."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor import api
from vram_advisor.cli.check import ASKED, LEVERS
from vram_advisor.cli.configured import Config, ConfigFormat, asked, show_imported
from vram_advisor.cli.output import print_json, print_lines, progress, terminal_look, terminal_width
from vram_advisor.domain.plan import Plan, Workload


def trace(
    *,
    model: Annotated[
        str | None, Parameter(help="Alias (7b, llama-3.1-8b), config.json, model folder, or owner/name.")
    ] = None,
    config: Config = None,
    config_format: ConfigFormat = None,
    compare: Annotated[
        bool, Parameter(negative=(), help="Show the closed form beside the trace, part by part.")
    ] = False,
    full_depth: Annotated[
        bool, Parameter(negative=(), help="Run every layer instead of extending two small depths; reserved memory too.")
    ] = False,
    time_limit: Annotated[int, Parameter(help="Seconds after which the trace is stopped.")] = 600,
    json: Annotated[bool, Parameter(negative=(), help="Print JSON.")] = False,
    workload: Annotated[Workload | None, Parameter(name="*", group=ASKED)] = None,
    plan: Annotated[Plan | None, Parameter(name="*", group=LEVERS)] = None,
    given: Annotated[frozenset[str], Parameter(parse=False)] = frozenset(),
) -> None:
    """Run the real training code on tensors without memory, and show what it allocates."""
    run = asked(model, config, config_format, workload, plan, given)
    progress("tracing the training step ...")
    try:
        answer = api.trace(
            run.model, workload=run.workload, plan=run.plan, full_depth=full_depth, time_limit=float(time_limit)
        )
    finally:
        progress("")
    if run.imported is not None:
        show_imported(run.imported, given, leftovers_only=json)
    if json:
        from vram_advisor.report.trace_document import trace_document

        print_json(trace_document(answer, run.imported))
    else:
        from vram_advisor.report.tracing import trace_lines

        print_lines(trace_lines(answer, terminal_look(), terminal_width(), compare))
