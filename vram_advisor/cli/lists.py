"""``vram-advisor gpus``, ``models`` and ``schema``: what can be named, and what is printed."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor.cli.check import ASKED, LEVERS
from vram_advisor.cli.exit_codes import ExitCode
from vram_advisor.cli.formatted import OfList, Output, chosen, deliver_lines, deliver_list
from vram_advisor.cli.output import list_width, narrate, print_json, print_lines, terminal_width
from vram_advisor.domain.plan import Plan, Workload

Word = Annotated[str, Parameter(help="Words that the name has to contain.")]
Json = Annotated[bool, Parameter(negative=(), help="Print JSON.")]
Gpu = Annotated[str | None, Parameter(help="A card by name (rtx-5070); without it the one in this machine.")]
GpuIndex = Annotated[int | None, Parameter(help="Which GPU of this machine.")]
Asked = Annotated[Workload | None, Parameter(name="*", group=ASKED)]
Levers = Annotated[Plan | None, Parameter(name="*", group=LEVERS)]
NoCalibration = Annotated[bool, Parameter(negative=(), help="Nominal coefficients, whatever was measured.")]


def gpus(
    *words: Word,
    json: Json = False,
    form: OfList = "table",
    output: Output = None,
    for_model: Annotated[
        str | None, Parameter(name="--for", help="Rank the cards by how they do this model; with the options of check.")
    ] = None,
    gpu: Annotated[str | None, Parameter(help="With --for: the present card, that others are compared with.")] = None,
    gpu_index: Annotated[
        int | None, Parameter(help="With --for: which GPU of this machine is the present one.")
    ] = None,
    no_calibration: NoCalibration = False,
    workload: Asked = None,
    plan: Levers = None,
) -> int:
    """List the cards of the catalogue, or rank those that would do a job."""
    from vram_advisor import api
    from vram_advisor.report.catalogue import gpu_lines, matching_gpus

    asked = chosen(form, json)
    if for_model is not None:
        from vram_advisor.cli.choosing import rank

        return rank(for_model, words, gpu, gpu_index, workload, plan, asked, output, not no_calibration)
    if gpu is not None or gpu_index is not None or workload is not None or plan is not None:
        narrate("--gpu and the options of check belong to --for MODEL: name the model.")
        return ExitCode.BAD_INPUT
    found = matching_gpus(api.list_gpus(), words)
    if asked != "table":
        from vram_advisor.report.document import gpus_document

        deliver_list(asked, gpus_document(found), "CARDS", output)
    elif found:
        deliver_lines(lambda _, width: gpu_lines(found, width), list_width(), output)
    if not found:
        narrate(f"no card of the catalogue matches '{' '.join(words)}'.")
    return ExitCode.ANSWERED


def models(
    *words: Word,
    json: Json = False,
    form: OfList = "table",
    output: Output = None,
    local: Annotated[bool, Parameter(negative=(), help="List what is on this machine, and whether it fits.")] = False,
    fit: Annotated[bool, Parameter(negative=(), help="List what fits the card; with the options of check.")] = False,
    gpu: Gpu = None,
    gpu_index: GpuIndex = None,
    no_calibration: NoCalibration = False,
    workload: Asked = None,
    plan: Levers = None,
) -> int:
    """List the models of the catalogue, those that fit a card, or those on this machine."""
    from vram_advisor import api
    from vram_advisor.report.catalogue import matching_models, model_lines

    asked = chosen(form, json)
    if local and fit:
        narrate("--local lists what is on this machine and --fit what the catalogue has: use one of the two.")
        return ExitCode.BAD_INPUT
    if local:
        from vram_advisor.cli.choosing import local as listed

        return listed(words, gpu, gpu_index, workload, asked, output, not no_calibration)
    if fit:
        from vram_advisor.cli.choosing import fitting

        return fitting(words, gpu, gpu_index, workload, plan, asked, output, not no_calibration)
    if gpu is not None or gpu_index is not None or workload is not None or plan is not None:
        narrate("--gpu and the options of check belong to --fit or --local: add one of the two.")
        return ExitCode.BAD_INPUT
    found = matching_models(api.list_models(), words)
    if asked != "table":
        from vram_advisor.report.document import models_document

        deliver_list(asked, models_document(found), "MODELS", output)
    elif found:
        deliver_lines(lambda _, width: model_lines(found, width), list_width(), output)
    if not found:
        narrate(f"no model of the catalogue matches '{' '.join(words)}'.")
    return ExitCode.ANSWERED


def schema(
    name: Annotated[str | None, Parameter(help="A command with --json, or an option whose values are listed.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """Print a JSON Schema, or the values of an option with the evidence behind each."""
    from vram_advisor.report.choices import TABLES, choices
    from vram_advisor.report.schema import DOCUMENTS
    from vram_advisor.report.schema import schema as json_schema

    field = None if name is None else name.replace("-", "_")
    if field is not None and field in TABLES:
        rows = choices(field)
        if json:
            from vram_advisor.report.document import values_document

            print_json(values_document(field, rows))
        else:
            from vram_advisor.report.catalogue import choice_lines

            print_lines(choice_lines(rows, terminal_width()))
    elif name is not None:
        print_json(json_schema(name))
    elif json:
        print_json({each: json_schema(each) for each in DOCUMENTS})
    else:
        from vram_advisor.report.catalogue import schema_lines

        print_lines(schema_lines(terminal_width()))
