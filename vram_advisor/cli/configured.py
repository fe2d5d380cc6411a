"""A run that a file of another program describes, under the options of the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Parameter

from vram_advisor import api
from vram_advisor.cli.output import narrate, print_lines, terminal_width
from vram_advisor.domain.imported import Imported
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput

STANDARD_INPUT = "-"
MOST = 4 << 20
"""Bytes that are read from standard input; a file may not be larger either."""
PROGRAMS = (
    "axolotl, llama-factory, trl, transformers, unsloth, torchtune, litgpt, deepspeed, accelerate, vllm, llama-server, "
    "llama-cli, ollama, lm-studio"
)
"""Programs whose files are read and written; their tables are loaded only where a file is."""

Config = Annotated[
    str | None,
    Parameter(
        help="A file or command line of a training or serving program that describes the run, - for standard input;"
        " options override it.",
        allow_leading_hyphen=True,
    ),
]
ConfigFormat = Annotated[str | None, Parameter(help=f"Whose file it is, where its keys do not tell: {PROGRAMS}.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """A run, by options and the file that they override."""

    model: str
    workload: Workload | None
    plan: Plan | None
    imported: Imported | None
    """What the file says; None without one."""


def asked(
    model: str | None,
    config: str | None,
    config_format: str | None,
    workload: Workload | None,
    plan: Plan | None,
    given: frozenset[str],
) -> Asked:
    """What is asked, by options and a file of another program if there is one.

    Args:
        given: fields that options set.

    Raises:
        BadInput: the file cannot be read, or no model is named.
    """
    imported, aside = None, ""
    if config is not None:
        imported = configured(config, config_format, model, workload or Workload(), plan or Plan(), given)
        model, workload, plan = imported.model, imported.workload, imported.plan
        aside = f": {imported.source} does not name the model"
    if model is None:
        raise BadInput(f"--model is missing, or nothing follows it{aside}.")
    return Asked(model, workload, plan, imported)


def configured(
    file: str, program: str | None, model: str | None, workload: Workload, plan: Plan, given: frozenset[str]
) -> Imported:
    """What a file describes, where no option says otherwise.

    Args:
        given: fields that options set.

    Raises:
        BadInput: the file cannot be read, or leaves open what is trained.
    """
    data = None
    if file == STANDARD_INPUT:
        data = sys.stdin.buffer.read(MOST + 1)
    name = "standard input" if data is not None else file
    imported = api.read_run(name, data=data, program=program, model=model)
    records = (workload, plan)
    fields = {field: getattr(record, field) for record in records for field in given if hasattr(record, field)}
    return api.overridden(imported, fields)


def show_imported(imported: Imported, given: frozenset[str], *, leftovers_only: bool) -> None:
    """What the file says, line by line.

    Args:
        given: fields that options set instead.
        leftovers_only: standard output holds a document: say on standard error which keys the answer may lack.
    """
    if leftovers_only:
        from vram_advisor.report.imported import leftovers

        for sentence in leftovers(imported):
            narrate(sentence)
    else:
        from vram_advisor.report.imported import imported_lines

        print_lines(imported_lines(imported, given, terminal_width()))


def suited(program: str, plan: Plan, given: frozenset[str]) -> Plan:
    """The plan as the program runs it that a file is written for, where no option says otherwise."""
    from vram_advisor.exchange.programs import program_named

    found = program_named(program, "--emit")
    if found.recipe is not None and "recipe" not in given:
        plan = replace(plan, recipe=found.recipe)
    if found.runtime is not None and "runtime" not in given:
        plan = replace(plan, runtime=found.runtime)
    return plan
