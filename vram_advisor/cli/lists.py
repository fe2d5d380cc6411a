"""``vram-advisor gpus``, ``models`` and ``schema``: what can be named, and what is printed."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vram_advisor.cli.output import list_width, narrate, print_json, print_lines, terminal_width

Word = Annotated[str, Parameter(help="Words that the name has to contain.")]
Json = Annotated[bool, Parameter(negative=(), help="Print JSON.")]


def gpus(*words: Word, json: Json = False) -> None:
    """List the cards of the catalogue."""
    from vram_advisor import api
    from vram_advisor.report.catalogue import gpu_lines, matching_gpus

    found = matching_gpus(api.list_gpus(), words)
    if json:
        from vram_advisor.report.document import gpus_document

        print_json(gpus_document(found))
    elif found:
        print_lines(gpu_lines(found, list_width()))
    if not found:
        narrate(f"no card of the catalogue matches '{' '.join(words)}'.")


def models(*words: Word, json: Json = False) -> None:
    """List the models of the catalogue."""
    from vram_advisor import api
    from vram_advisor.report.catalogue import matching_models, model_lines

    found = matching_models(api.list_models(), words)
    if json:
        from vram_advisor.report.document import models_document

        print_json(models_document(found))
    elif found:
        print_lines(model_lines(found, list_width()))
    if not found:
        narrate(f"no model of the catalogue matches '{' '.join(words)}'.")


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
    if field in TABLES:
        rows = choices(field)
        if json:
            from dataclasses import asdict

            print_json([asdict(row) for row in rows])
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
