"""Tables of an answer: the options side by side, and where the memory of one of them goes."""

from __future__ import annotations

from collections.abc import Sequence

from vram_advisor.domain.answer import Answer, Option
from vram_advisor.domain.estimate import Component, Interval
from vram_advisor.report.layout import NBSP, Column, Line, line, table
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import size
from vram_advisor.report.vendor import NVIDIA, Terms
from vram_advisor.units.bytes import GIB

LARGEST = 8
"""Rows of the breakdown without --explain."""


def options_table(answer: Answer, look: Look, width: int) -> list[Line]:
    """The four numbers of every option, each with its 90 % interval below it, and the verdict."""
    columns = (
        Column("GiB", flexible=True),
        Column("allocated", "right", optional=1),
        Column("reserved", "right", optional=3),
        Column("process", "right", optional=2),
        Column("minimum", "right"),
        Column("verdict"),
    )
    rows: list[Sequence[Line]] = []
    for index, option in enumerate(answer.options):
        peak, verdict = option.estimate.peak, option.verdict
        chosen = index == answer.recommended
        name: Line = line(option.title, "bold" if chosen else "")
        if chosen:
            name = (*name, (f" {look.here}", f"bold {verdict.outcome}"))
        numbers = (peak.allocated_bytes, peak.reserved_bytes, peak.process_bytes, peak.minimum_bytes)
        middles = [line(f"{number.mid / GIB:.2f}", "bold" if chosen else "") for number in numbers]
        rows.append((name, *middles, line(verdict.outcome, f"bold {verdict.outcome}")))
        rows.append(((), *(_spread(number) for number in numbers), _room(option)))
    return table(columns, rows, width)


def components_table(option: Option, width: int, terms: Terms) -> list[Line]:
    """The largest components alive at the peak, and the rest in one row: together the allocated peak."""
    peak = option.estimate.peak
    alive = sorted((c for c in option.estimate.components if peak.phase in c.alive), key=lambda c: -abs(c.nbytes))
    kept = alive if len(alive) <= LARGEST else alive[: LARGEST - 1]
    rows = [
        (
            line(size(component.nbytes)),
            line(component.label.replace(NVIDIA.blas, terms.blas)),
            line(first_product(component), "dim"),
        )
        for component in kept
    ]
    if rest := alive[len(kept) :]:
        total = size(sum(component.nbytes for component in rest))
        rows.append((line(total), line(f"{len(rest)} smaller parts"), line("listed by --explain", "dim")))
    beyond = option.estimate.minimum_mean - peak.allocated_bytes.mid
    rows.append((line(size(peak.allocated_bytes.mid), "bold"), line("allocated at the peak", "bold"), ()))
    if option.estimate.share_bytes is not None:
        least = line("of it would do: weights, the profiled batch and one sequence", "dim")
        rows.append((line(size(option.estimate.minimum_mean), "bold"), line("minimum to run", "bold"), least))
        return table((Column(side="right"), Column(flexible=True), Column(flexible=True, optional=1)), rows, width)
    rows += [
        (line(size(beyond)), line(terms.overhead), line(terms.basis, "dim")),
        (line(size(option.estimate.minimum_mean), "bold"), line("minimum to run", "bold"), ()),
    ]
    return table((Column(side="right"), Column(flexible=True), Column(flexible=True, optional=1)), rows, width)


def _spread(interval: Interval) -> Line:
    return line(f"{interval.low / GIB:.1f}–{interval.high / GIB:.1f}", "dim")


def _room(option: Option) -> Line:
    spare = option.verdict.headroom_bytes
    return () if spare is None else line(f"{size(abs(spare))} {'spare' if spare >= 0 else 'short'}", "dim")


def first_product(component: Component) -> str:
    """The largest product of a formula."""
    products = component.formula.split(" + ")
    return products[0] + (f" +{NBSP}{len(products) - 1}{NBSP}more" if len(products) > 1 else "")
