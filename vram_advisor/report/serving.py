"""How the result of a fine-tune is run, for a terminal: what each way needs, then the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vram_advisor.report.layout import BLANK, Column, Line, indented, line, table, wrapped
from vram_advisor.report.sizes import file_size
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from vram_advisor.domain.served import ServedResult, ServingWay

WIDEST = 110
PROGRAMS = {"ollama": "Ollama", "lm-studio": "LM Studio", "vllm": "vLLM"}
"""Programs by their own spelling, where it is not the name of the option."""


def serving_lines(served: ServedResult, width: int) -> Iterator[Line]:
    """Sizes, a table of ways, commands."""
    width = min(width, WIDEST)
    yield BLANK
    yield from wrapped(
        (("Serving the result", "bold"), (f", with a context of {served.context_length:,} tokens", "")), width
    )
    if served.adapter_bytes is not None:
        yield from wrapped(
            line(
                f"The adapter is a file of {file_size(served.adapter_bytes)}. Merged into the weights it disappears in"
                f" them: {gib(served.merged_bytes)} in 16 bits, on disk and in system memory while it is merged."
            ),
            width,
        )
    columns = (
        Column("program"),
        Column("weights", optional=2),
        Column("adapter", flexible=True),
        Column("needs", "right"),
        Column("verdict", optional=1),
    )
    yield from indented(table(columns, [_row(way, served) for way in served.ways], width - 2))
    for way in served.ways:
        yield BLANK
        yield from wrapped(line(f"{_title(way)}, {_adapter(way, served)}", "bold"), width)
        for command in way.commands:
            yield from indented(wrapped(line(command, "dim"), width - 2, 2))
    for note in served.notes:
        yield from wrapped(line(f"- {note}", "dim"), width, hanging=2)


def _title(way: ServingWay) -> str:
    return PROGRAMS.get(way.program, way.program)


def _adapter(way: ServingWay, served: ServedResult) -> str:
    if served.adapter_bytes is None:
        return "all weights trained"
    return "merged" if way.merged else "beside the base"


def _row(way: ServingWay, served: ServedResult) -> list[Line]:
    outcome = way.verdict.outcome if way.verdict else None
    return [
        line(_title(way), "bold"),
        line(way.stored),
        line(_adapter(way, served)),
        line("–" if way.need_bytes is None else gib(way.need_bytes)),
        line(outcome or "–", f"bold {outcome}" if outcome else "dim"),
    ]
