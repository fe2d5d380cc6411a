"""A run that a file of another program describes, under the options of the command line."""

from __future__ import annotations

import sys
from dataclasses import replace

from vram_advisor import api
from vram_advisor.domain.imported import Imported
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput

STANDARD_INPUT = "-"
MOST = 4 << 20
"""Bytes that are read from standard input; a file may not be larger either."""


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
    if not imported.says_method and "method" not in given:
        raise BadInput(f"{name} does not say what is trained: add --method lora, qlora, dora or full.")
    asked = {field: getattr(workload, field) for field in given if hasattr(workload, field)}
    levers = {field: getattr(plan, field) for field in given if hasattr(plan, field)}
    return replace(imported, workload=replace(imported.workload, **asked), plan=replace(imported.plan, **levers))


def suited(program: str, plan: Plan, given: frozenset[str]) -> Plan:
    """The plan as the program runs it that a file is written for, where no option says otherwise."""
    from vram_advisor.exchange.programs import program_named

    found = program_named(program, "--emit")
    if found.recipe is not None and "recipe" not in given:
        plan = replace(plan, recipe=found.recipe)
    if found.runtime is not None and "runtime" not in given:
        plan = replace(plan, runtime=found.runtime)
    return plan
