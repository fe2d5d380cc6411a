"""``vram-advisor calibrations``: what was learnt on machines, kept, shown, passed on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from vram_advisor import api
from vram_advisor.cli.output import narrate, print_json, print_lines, terminal_width

Id = Annotated[str, Parameter(help="Id of a calibration, or its beginning where no other begins so.")]
Json = Annotated[bool, Parameter(negative=(), help="Print JSON.")]

app = App(name="calibrations")


@app.default
@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List, show, remove, export and import what calibrations have taught."""
    from vram_advisor.report.calibrations import list_document, list_lines

    found = api.list_calibrations()
    for problem in found.problems:
        narrate(problem)
    if json:
        print_json(list_document(found))
    elif found.calibrations:
        print_lines(list_lines(found, terminal_width(), datetime.now(UTC)))
    else:
        narrate("No calibration is kept: vram-advisor calibrate makes one.")


@app.command
def show(id: Id, /, *, json: Json = False) -> None:
    """Show one calibration with its coefficients and runs."""
    from vram_advisor.report.calibrations import calibration_document, calibration_lines

    found = api.find_calibration(id)
    if json:
        print_json(calibration_document(found))
    else:
        print_lines(calibration_lines(found, terminal_width(), datetime.now(UTC)))


@app.command
def remove(id: Id, /, *others: Id, json: Json = False) -> None:
    """Forget calibrations."""
    removed = api.remove_calibrations((id, *others))
    if json:
        from vram_advisor.report.calibrations import removed_document

        print_json(removed_document(removed))
    else:
        for name in removed:
            narrate(f"{name} is removed.")


@app.command
def export(
    id: Id, file: Annotated[Path, Parameter(help="File that is not there yet.")], /, *, json: Json = False
) -> None:
    """Write a calibration to a file for another machine."""
    found = api.export_calibration(id, file)
    if json:
        from vram_advisor.report.calibrations import exported_document

        print_json(exported_document(found, str(file)))
    else:
        narrate(f"{found.id} is written to {file}.")


@app.command(name="import")
def import_(file: Annotated[Path, Parameter(help="File that export wrote.")], /, *, json: Json = False) -> None:
    """Keep the calibration of a file."""
    found = api.import_calibration(file)
    if json:
        from vram_advisor.report.calibrations import imported_document

        print_json(imported_document(found))
    else:
        narrate(f"{found.id} is kept: {found.key.gpu}, recipe {found.key.recipe}.")
