"""Models that fit a card, and cards that do a job, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vram_advisor.report.calibration_words import NOMINAL, age, corrected_by
from vram_advisor.report.layout import BLANK, Column, Line, line, table, wrapped
from vram_advisor.report.words import METHODS
from vram_advisor.units.bytes import GIB, gib

if TYPE_CHECKING:
    from datetime import datetime

    from vram_advisor.advice.cards import CardRanking, RankedCard
    from vram_advisor.advice.choices import FittingModel, FittingModels
    from vram_advisor.advice.precision import Needed
    from vram_advisor.domain.gpu import Device
    from vram_advisor.domain.plan import Workload
    from vram_advisor.domain.throughput import Span

WIDEST = 110
UNFIT = 3
"""Cards that do not fit and are shown nevertheless: the ones that come nearest."""


def asked_words(workload: Workload) -> str:
    """What is done, with the lengths that decide."""
    method = METHODS[workload.method]
    if workload.trains:
        return f"{method} at {workload.micro_batch_size} × {workload.sequence_length:,} tokens"
    many = f", {workload.num_sequences} sequences" if workload.num_sequences > 1 else ""
    return f"{method} with a context of {workload.context_length:,} tokens{many}"


def fitting_lines(answer: FittingModels, width: int, now: datetime | None = None) -> Iterator[Line]:
    """Models that fit, the largest first; then the largest at each precision, and what the next one needs."""
    device = answer.device
    each = f"{device.count} × " if device.count > 1 else ""
    heading = f"Models for {each}{device.name}, {asked_words(answer.workload)}"
    yield from wrapped(((heading, "bold"), (f", {gib(device.free_bytes)} free", "")), min(width, WIDEST))
    if not answer.models:
        yield from wrapped(line(f"None of the {answer.looked_at} models that were looked at fits."), min(width, WIDEST))
        yield from _steps(answer, width)
        return
    columns = (
        Column("model", flexible=True, cut=True),
        Column("parameters", "right", optional=2),
        Column("stored as", flexible=True, optional=1),
        Column("needs", "right"),
        Column("verdict"),
        Column("longest", "right"),
    )
    yield from table(columns, [_model(one) for one in answer.models], width)
    longest = "sequence" if answer.workload.trains else "context"
    yield from wrapped(
        line(
            f"{len(answer.models)} of {answer.looked_at} models. Each as exact as it fits. longest: the longest"
            f" {longest} that fits, all else as it is.",
            "dim",
        ),
        min(width, WIDEST),
    )
    yield from _steps(answer, width)
    said = corrected_by(answer.calibration, device, answer.workload.trains, now)
    yield from wrapped(line(f"{said[0].upper()}{said[1:]}.", "dim"), min(width, WIDEST))


def _steps(answer: FittingModels, width: int) -> Iterator[Line]:
    if not answer.steps:
        return
    rows = [
        [line(step.title, "bold"), _needed(step.largest), _needed(step.next, "dim")]
        for step in answer.steps
        if step.largest is not None or step.next is not None
    ]
    columns = (
        Column("stored as"),
        Column("largest that fits", flexible=True),
        Column("the next larger", flexible=True),
    )
    yield BLANK
    yield from table(columns, rows, min(width, WIDEST))


def _needed(needed: Needed | None, style: str = "") -> Line:
    return line("–" if needed is None else f"{needed.model.id} needs {gib(needed.need_bytes)}", style)


def _model(one: FittingModel) -> list[Line]:
    outcome = one.verdict.outcome
    size = f"{one.parameters / 1e9:.2f} B" if one.parameters >= 10**9 else f"{one.parameters / 1e6:.0f} M"
    return [
        line(one.model.id, "bold"),
        line(size),
        line(one.title),
        line(gib(one.need_bytes)),
        line(outcome, f"bold {outcome}"),
        line(f"{one.longest:,}"),
    ]


def ranking_lines(answer: CardRanking, width: int, now: datetime | None = None) -> Iterator[Line]:
    """Cards that fit, the smallest first; then the few that come nearest."""
    narrow = min(width, WIDEST)
    count = answer.plan.num_gpus
    each = f", {count} of a kind" if count > 1 else ""
    heading = f"Cards for {answer.model.id}, {answer.title}, {asked_words(answer.workload)}{each}"
    yield from wrapped(line(heading, "bold"), narrow)
    if answer.present is not None:
        yield from wrapped(line(_present(answer, answer.present)), narrow)
    fit = [card for card in answer.cards if card.verdict.outcome in ("fits", "tight")]
    unfit = sorted((card for card in answer.cards if card not in fit), key=lambda c: -(c.verdict.headroom_bytes or 0))
    if not fit:
        yield from wrapped(line("No card of the catalogue that was looked at fits; these come nearest."), narrow)
    shown = [*fit, *(unfit[:UNFIT] if not fit else ())]
    if not answer.cards:
        return
    columns = (
        Column("card", flexible=True, cut=True),
        Column("memory", "right", optional=4),
        Column("spare", "right"),
        Column("verdict", optional=1),
        Column("tokens/s", "right"),
        *((Column("×", "right", optional=2),) if any(card.times_as_fast for card in shown) else ()),
        Column("W", "right", optional=5),
        Column("USD", "right", optional=3),
    )
    compared = len(columns) == 8
    yield from table(columns, [_card(card, compared) for card in shown], width)
    said = ["tokens/s with their 90 % interval, over all cards of a kind.", "W: board power, all cards."]
    if any(card.spec.msrp_usd for card in shown):
        said.append("USD: list price at launch, all cards, approximate; not what shops ask today:")
        sources = {c.spec.msrp_source for c in shown if c.spec.msrp_usd and c.spec.msrp_source}
        dates = sorted({c.spec.checked for c in shown if c.spec.msrp_usd and c.spec.checked})
        said.append(
            f"{', '.join(sorted(sources))}; checked {dates[-1]}." if dates else f"{', '.join(sorted(sources))}."
        )
    said.append(_calibrated(answer, now))
    yield from wrapped(line(" ".join(said), "dim"), narrow)


def _present(answer: CardRanking, present: Device) -> str:
    """What an upgrade is measured against, and how it does the job itself."""
    mine = answer.now
    if mine is None:
        return f"× is beside {present.name}."
    speed = "" if mine.tokens_per_second is None else f", {rate(mine.tokens_per_second)} tokens/s"
    spare = mine.verdict.headroom_bytes
    if mine.verdict.outcome == "fits":
        return f"× is beside {present.name}, where it fits{speed}."
    short = "" if spare is None or spare >= 0 else f" ({gib(-spare)} short)"
    return (
        f"× is beside {present.name}, where it does not fit{short}; it would do{speed[1:]}."
        if speed
        else (f"× is beside {present.name}, where it does not fit{short}.")
    )


def _calibrated(answer: CardRanking, now: datetime | None) -> str:
    """Which cards are corrected by measurements, and of what day these are."""
    found = {card.spec.id: card.calibration for card in answer.cards if card.calibration is not None}
    on_card = [f"{name} ({age(c.created, now)})" for name, c in found.items() if c.kinship != "recipe"]
    if on_card:
        return f"Calibrated on such a card: {', '.join(on_card)}."
    recipes = {c.id: f"{c.key.gpu} ({age(c.created, now)})" for c in found.values() if c is not None}
    if recipes:
        return f"Calibrated with this recipe on {', '.join(recipes.values())}."
    return f"{NOMINAL[0].upper()}{NOMINAL[1:]}."


def _card(card: RankedCard, compared: bool) -> list[Line]:
    spec, verdict = card.spec, card.verdict
    outcome = verdict.outcome
    spare = verdict.headroom_bytes
    price = None if spec.msrp_usd is None else spec.msrp_usd * card.count
    watts = None if spec.tdp_w is None else spec.tdp_w * card.count
    cells = [
        line(spec.id, "bold"),
        line(f"{spec.vram_bytes / GIB:.0f} GiB"),
        line("–" if spare is None else gib(spare) if spare >= 0 else f"{gib(-spare)} short"),
        line(outcome, f"bold {outcome}"),
        line(rate(card.tokens_per_second)),
    ]
    if compared:
        cells.append(line("–" if card.times_as_fast is None else f"{card.times_as_fast:.2f}"))
    return [
        *cells,
        line("–" if watts is None else f"{watts:,.0f}"),
        line("–" if price is None else f"{price:,.0f}"),
    ]


def rate(span: Span | None) -> str:
    """``1,240 (980–1,570)`` tokens per second."""
    if span is None:
        return "–"
    low, mid, high = (float(value) for value in (span.low, span.mid, span.high))
    digits = 0 if mid >= 10 else 1
    return f"{mid:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
