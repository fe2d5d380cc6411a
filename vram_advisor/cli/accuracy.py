"""``vram-advisor accuracy``: the model scored on measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vram_advisor import api
from vram_advisor.cli.output import print_json, print_lines, progress, terminal_width


def accuracy(
    *files: Annotated[Path, Parameter(help="Ledgers of measurements (CSV); without any those that are shipped.")],
    json: Annotated[bool, Parameter(negative=(), help="Print JSON.")] = False,
) -> None:
    """Compare predictions with measurements, source by source."""
    progress(f"scoring {', '.join(file.name for file in files) or 'the shipped measurements'} ...")
    try:
        report = api.score(files)
    finally:
        progress("")
    if json:
        from vram_advisor.report.document import accuracy_document

        print_json(accuracy_document(report))
    else:
        from vram_advisor.report.accuracy_tables import accuracy_lines

        print_lines(accuracy_lines(report, terminal_width()))
