"""``--format`` and ``--output``: in which form an answer is written, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from vram_advisor.cli.output import (
    json_text,
    narrate,
    print_document,
    print_json,
    print_lines,
    terminal_look,
    write_document,
)
from vram_advisor.units.errors import BadInput

if TYPE_CHECKING:
    from vram_advisor.domain.advice import AdviceAnswer
    from vram_advisor.domain.answer import Answer
    from vram_advisor.domain.imported import Imported
    from vram_advisor.report.formats.asked import Asked
    from vram_advisor.report.formats.lists import Listed
    from vram_advisor.report.layout import Line
    from vram_advisor.report.look import Look

Form = Literal["table", "json", "csv", "markdown", "html", "svg"]
ListForm = Literal["table", "json", "csv", "markdown"]
PLAIN_WIDTH = 110
"""Columns of a table that goes to a file."""

AnyForm = Annotated[
    Form,
    Parameter(name="--format", help="Form of the answer; html is one page that needs nothing else, svg a picture."),
]
OfList = Annotated[ListForm, Parameter(name="--format", help="Form of the answer.")]
Output = Annotated[
    str | None, Parameter(help="Write to this file, whole or not at all, instead of to standard output.")
]


def chosen(form: Form, json: bool) -> Form:
    """The form, of which ``--json`` is short for one.

    Raises:
        BadInput: two forms are asked for.
    """
    if json and form not in ("table", "json"):
        raise BadInput(f"--json is short for --format json: leave out one of --json and --format {form}.")
    return "json" if json else form


def deliver(text: str, output: str | None) -> None:
    """A document on standard output, or in a file."""
    if output is None:
        print_document(text)
    else:
        write_document(output, text)
        narrate(f"{output} is written.")


def deliver_json(document: object, output: str | None) -> None:
    """A JSON document on standard output, or in a file."""
    if output is None:
        print_json(document)
    else:
        deliver(json_text(document), output)


def deliver_lines(lines: Callable[[Look, int], Iterable[Line]], width: int, output: str | None) -> None:
    """Lines as the terminal shows them, or as plain text in a file.

    Args:
        lines: for what can be shown in so many columns.
        width: columns of the terminal.
        output: the file; None: standard output.
    """
    if output is None:
        print_lines(lines(terminal_look(), width))
    else:
        from vram_advisor.report.look import Look

        look = Look()
        deliver(look.painted(lines(look, PLAIN_WIDTH)), output)


def answer_text(form: Form, answer: Answer, asked: Asked, imported: Imported | None) -> str:
    """An answer of ``check`` as CSV, Markdown, HTML or SVG.

    Args:
        asked: the question, for the command and the map of what else would fit.
        imported: the file that described the run.
    """
    if form == "csv":
        from vram_advisor.report.formats.csv_rows import answer_csv

        return answer_csv(answer)
    if form == "svg":
        from vram_advisor.report.formats.svg import svg_report

        return svg_report(answer)
    from vram_advisor.report.imported import leftovers

    remarks = () if imported is None else tuple(leftovers(imported))
    if form == "markdown":
        from vram_advisor.report.formats.markdown import answer_markdown

        return answer_markdown(answer, asked.command(form), remarks)
    from vram_advisor.report.formats.asked import fit_map
    from vram_advisor.report.formats.page import html_report

    return html_report(answer, asked.command(form), fit_map(asked, answer), remarks)


def advice_text(form: Form, answer: AdviceAnswer, gpu: str | None, command: str, imported: Imported | None) -> str:
    """An answer of ``advise`` as CSV, Markdown, HTML or SVG.

    Args:
        gpu: the card as it was named, for the commands.
        command: the command line that asks the same again.
        imported: the file that described the run.
    """
    if form == "svg":
        from vram_advisor.report.formats.advice_svg import advice_svg

        return advice_svg(answer)
    if form == "html":
        from vram_advisor.report.formats.advice_page import advice_page
        from vram_advisor.report.imported import leftovers

        return advice_page(answer, gpu, command, () if imported is None else tuple(leftovers(imported)))
    from vram_advisor.report.formats.advice import advice_csv, advice_markdown

    return advice_csv(answer, gpu) if form == "csv" else advice_markdown(answer, gpu)


def deliver_list(form: Form, document: Mapping[str, Any], listed: str, output: str | None) -> None:
    """A list in one of the forms that are no table.

    Args:
        listed: name of the list in ``report.formats.lists``.
    """
    if form == "json":
        deliver_json(document, output)
        return
    from vram_advisor.report.formats import lists

    of: Listed = getattr(lists, listed)
    deliver(lists.list_csv(document, of) if form == "csv" else lists.list_markdown(document, of), output)
