"""``vram-advisor advise``: what would make it fit."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from vram_advisor import api
from vram_advisor.cli.check import ASKED, LEVERS
from vram_advisor.cli.configured import Config, ConfigFormat, asked, show_imported
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.formatted import AnyForm, Output, advice_text, chosen, deliver, deliver_json, deliver_lines
from vram_advisor.cli.help_columns import whole_names
from vram_advisor.cli.output import narrate, progress, terminal_width
from vram_advisor.domain.job import Dataset
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.served import ServedResult
    from vram_advisor.report.layout import Line
    from vram_advisor.report.look import Look

JOB = Group("The job", sort_key=3, help_formatter=whole_names)


def advise(
    *,
    model: Annotated[
        str | None,
        Parameter(help="Alias (7b, llama-3.1-8b), config.json, model folder, .safetensors file, or owner/name."),
    ] = None,
    config: Config = None,
    config_format: ConfigFormat = None,
    gpu: Annotated[str | None, Parameter(help="A card by name (rtx-5070); without it the one in this machine.")] = None,
    gpu_index: Annotated[int | None, Parameter(help="Which GPU of this machine.")] = None,
    json: Annotated[bool, Parameter(negative=(), help="Print JSON.")] = False,
    form: AnyForm = "table",
    output: Output = None,
    explain: Annotated[
        bool, Parameter(negative=(), help="Show how the result of a fine-tune is run, and what that needs.")
    ] = False,
    no_calibration: Annotated[
        bool, Parameter(negative=(), help="Nominal coefficients, whatever was measured.")
    ] = False,
    dataset: Annotated[Dataset | None, Parameter(name="*", group=JOB)] = None,
    workload: Annotated[Workload | None, Parameter(name="*", group=ASKED)] = None,
    plan: Annotated[Plan | None, Parameter(name="*", group=LEVERS)] = None,
    given: Annotated[frozenset[str], Parameter(parse=False)] = frozenset(),
) -> int:
    """Say what would make it fit, what that costs, and how far the card goes."""
    if gpu is not None and gpu_index is not None:
        narrate("--gpu names a card and --gpu-index takes one of this machine: use one of the two.")
        return ExitCode.BAD_INPUT
    asked_form = chosen(form, json)
    if explain and asked_form not in ("table", "json"):
        raise BadInput(f"--explain is for --format table and json: leave out one of --explain and --format {form}.")
    run = asked(model, config, config_format, workload, plan, given)
    if dataset is not None and dataset.dataset is not None:
        progress(f"reading {dataset.dataset} ...")
    answer = api.advise(
        run.model,
        gpu=gpu,
        gpu_index=gpu_index,
        workload=run.workload,
        plan=run.plan,
        dataset=dataset,
        calibrated=not no_calibration,
    )
    progress("")
    if run.imported is not None:
        show_imported(run.imported, given, leftovers_only=asked_form != "table" or output is not None)
    served = api.serve_result(answer, run.model) if explain and answer.workload.trains else None
    if asked_form == "json":
        from vram_advisor.report.advice_document import advice_document

        deliver_json(advice_document(answer, served, run.imported), output)
    elif asked_form == "table":
        deliver_lines(lambda look, width: _lines(answer, served, look, width, gpu), terminal_width(), output)
    else:
        from vram_advisor.report.command import command_line, named_options

        flags = named_options([dataset or Dataset()]) + ["--format", asked_form]
        flags += ["--gpu-index", str(gpu_index)] if gpu_index is not None else []
        flags += ["--no-calibration"] if no_calibration else []
        words = command_line(run.model, run.workload or Workload(), run.plan or Plan(), gpu, "advise")
        deliver(advice_text(asked_form, answer, gpu, f"{words} {shlex.join(flags)}", run.imported), output)
    fits = answer.asked.verdict.outcome == "fits" or any(a.verdict.outcome == "fits" for a in answer.advices)
    return ExitCode.ANSWERED if fits else ExitCode.DOES_NOT_FIT


def _lines(
    answer: AdviceAnswer, served: ServedResult | None, look: Look, width: int, gpu: str | None
) -> Iterator[Line]:
    from vram_advisor.report.advising import advice_lines

    yield from advice_lines(answer, look, width, gpu)
    if served is not None:
        from vram_advisor.report.serving import serving_lines

        yield from serving_lines(served, width)
