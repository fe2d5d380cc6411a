"""Tables of an answer: the options side by side, and where the memory of one of them goes."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.estimate import Component, Interval
from vram_advisor.report.look import OUTCOME_COLOURS, Look
from vram_advisor.units.bytes import GIB, gib

LARGEST = 8
"""Rows of the breakdown without --explain."""
TERMS = 2
"""Products of a formula without --explain."""


def plain_table(*columns: tuple[str, str]) -> Table:
    """A table without lines; each column is a heading and left or right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading, side in columns:
        table.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    return table


def options_table(answer: Answer, look: Look) -> Table:
    """The four numbers of every option, each with its 90 % interval below it, and the verdict."""
    table = plain_table(
        ("GiB", "left"), ("allocated", "right"), ("reserved", "right"), ("process", "right"), ("minimum", "right"),
        ("verdict", "left"),
    )  # fmt: skip
    for index, option in enumerate(answer.options):
        peak, chosen = option.estimate.peak, index == answer.recommended
        numbers = (peak.allocated_bytes, peak.reserved_bytes, peak.process_bytes, peak.minimum_bytes)
        name = Text(option.title, "bold" if chosen else "")
        if chosen:
            name.append(f" {look.here}", OUTCOME_COLOURS[option.verdict.outcome])
        table.add_row(name, *(_figure(number) for number in numbers), _verdict(option))
    return table


def _figure(interval: Interval) -> Text:
    text = Text(f"{interval.mid / GIB:.2f}")
    text.append(f"\n{interval.low / GIB:.1f}–{interval.high / GIB:.1f}", "dim")
    return text


def _verdict(option: Option) -> Text:
    verdict, spare = option.verdict, option.verdict.headroom_bytes
    text = Text(verdict.outcome, f"bold {OUTCOME_COLOURS[verdict.outcome]}")
    if spare is not None:
        text.append(f"\n{gib(abs(spare))} {'spare' if spare >= 0 else 'short'}", "dim")
    return text


def components_table(option: Option) -> Table:
    """The largest components alive at the peak, and the rest in one row: together the allocated peak."""
    phase = option.estimate.peak.phase
    alive = sorted((c for c in option.estimate.components if phase in c.alive), key=lambda c: -c.nbytes)
    table = plain_table(("GiB", "right"), ("what", "left"), ("how it is counted", "left"))
    kept = alive if len(alive) <= LARGEST else alive[: LARGEST - 1]
    for component in kept:
        table.add_row(f"{component.nbytes / GIB:.2f}", component.label, Text(short_formula(component), "dim"))
    if rest := alive[len(kept) :]:
        total = sum(component.nbytes for component in rest)
        table.add_row(f"{total / GIB:.2f}", f"{len(rest)} smaller parts", Text("listed by --explain", "dim"))
    peak = option.estimate.peak
    table.add_row(Text(f"{peak.allocated_bytes.mid / GIB:.2f}", "bold"), Text("allocated at the peak", "bold"), "")
    beyond = option.estimate.minimum_mean - peak.allocated_bytes.mid
    table.add_row(f"{beyond / GIB:.2f}", "CUDA and allocator", Text("measured, not counted: see docs/method.md", "dim"))
    return table


def short_formula(component: Component) -> str:
    """The largest products of a formula."""
    products = component.formula.split(" + ")
    if len(products) <= TERMS + 1:
        return component.formula
    return " + ".join(products[:TERMS]) + f" + {len(products) - TERMS} more"
