"""``vram-advisor detect``: what this machine has."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor import api
from vram_advisor.cli.output import print_json, print_lines, print_text, terminal_look, terminal_width


def detect(
    *,
    report: Annotated[
        bool, Parameter(negative=(), help="What a bug report needs, without user names or paths.")
    ] = False,
    json: Annotated[bool, Parameter(negative=(), help="Print JSON.")] = False,
) -> None:
    """Show the GPUs of this machine, their free memory and what holds the rest."""
    machine = api.detect()
    if report:
        from vram_advisor.report.machine import bug_report

        text = bug_report(machine)
        if json:
            from vram_advisor.report.document import report_document

            print_json(report_document(text))
        else:
            print_text(text)
    elif json:
        from vram_advisor.report.document import machine_document

        print_json(machine_document(machine))
    else:
        from vram_advisor.report.machine import machine_lines

        print_lines(machine_lines(machine, terminal_look(), terminal_width()))
