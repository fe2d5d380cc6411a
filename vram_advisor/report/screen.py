"""The whole answer of ``check`` for a terminal, from the verdict to the fine print."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.report import words
from vram_advisor.report.bar import memory_bar, phase_bars
from vram_advisor.report.explain import explained
from vram_advisor.report.look import OUTCOME_COLOURS, Look, look_of
from vram_advisor.report.table import components_table, options_table
from vram_advisor.units.bytes import gib

WIDEST = 120
"""Longer lines are hard to read."""


def print_answer(answer: Answer, console: Console, explain: bool = False) -> None:
    """Write the answer to a console."""
    width = min(console.width, WIDEST)
    for part in answer_parts(answer, look_of(console), width, explain):
        console.print(part, width=width)


def answer_parts(answer: Answer, look: Look, width: int, explain: bool) -> Iterable[RenderableType]:
    """The answer from top to bottom."""
    option = words.shown(answer)
    yield Text(words.title(answer), "bold")
    yield ""
    yield from _verdict(answer, option)
    yield ""
    yield _heading(_bar_heading(answer, option))
    yield from memory_bar(option, answer.device, look, width)
    yield ""
    yield options_table(answer, look)
    yield Text(
        "allocated: live tensors. reserved: with the allocator's slack. process: what nvidia-smi shows. minimum: where"
        " out-of-memory begins; the verdict compares it with the free memory. Below each: 90 % interval.", "dim",
    )  # fmt: skip
    yield ""
    yield _heading(f"Where the memory of {option.title} goes at the peak")
    yield components_table(option)
    yield ""
    yield _heading(f"{option.title} phase by phase, allocated")
    yield from phase_bars(option, look, width)
    if explain:
        yield ""
        yield _heading(f"Everything that {option.title} holds, product by product")
        yield from explained(option)
    yield from _list("Assumed", answer.assumptions, "dim")
    yield from _list("Warnings", answer.warnings, "yellow")


def _verdict(answer: Answer, option: Option) -> Iterable[RenderableType]:
    said = words.verdict(answer)
    badge = Text(said.badge, f"bold {OUTCOME_COLOURS[said.outcome]}")
    yield badge.append(f"  {said.text}", "not bold default")
    yield Text(words.peak(option))
    for step in words.next_steps(answer):
        yield Padding(Text("→ ", "bold").append(step, "not bold"), (0, 0, 0, 0))


def _bar_heading(answer: Answer, option: Option) -> str:
    if answer.device is None:
        return f"{option.title} at its peak: {gib(option.estimate.minimum_mean)}"
    return f"{option.title} at its peak, on {answer.device.name} with {gib(answer.device.total_bytes)}"


def _heading(text: str) -> Text:
    return Text(text, "bold")


def _list(heading: str, items: Iterable[str], style: str) -> Iterable[RenderableType]:
    items = list(items)
    if items:
        yield ""
        yield _heading(heading)
        for item in items:
            yield Text(f"- {item}", style)
