"""Advice for a terminal: what would make it fit, each with its saving, its price and what it allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vram_advisor.domain.estimate import PHASE_TITLES
from vram_advisor.report.bar import PHASE_NAMES
from vram_advisor.report.command import command_line
from vram_advisor.report.job import job_lines, speed_sentence, speed_words
from vram_advisor.report.layout import BLANK, NBSP, Column, Line, indented, line, table, wrapped
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import time_beside
from vram_advisor.report.words import METHODS
from vram_advisor.units.bytes import GIB, gib

if TYPE_CHECKING:
    from vram_advisor.domain.advice import Advice, AdviceAnswer
    from vram_advisor.domain.answer import AppliedCalibration

WIDEST = 110
BAR = 24
"""Cells of the bars that compare needs."""
FRONT = 8
"""Rows of the front that are shown."""
FIELD_TITLES = {
    "sequence_length": "sequence length",
    "micro_batch_size": "micro batch",
    "lora_r": "rank",
    "context_length": "context length",
    "num_sequences": "sequences at once",
}
NOTHING = "none"
"""How a cost begins that is none."""


def advice_lines(answer: AdviceAnswer, look: Look, width: int, gpu: str | None = None) -> Iterator[Line]:
    """The advice from top to bottom, best first."""
    width = min(width, WIDEST)
    asked, device = answer.asked, answer.device
    where = f" on {device.name}" if device is not None else ""
    yield from wrapped(
        line(f"{answer.model.id}, {METHODS[answer.workload.method]}, {asked.title}{where}", "bold"), width
    )
    yield BLANK
    outcome = asked.verdict.outcome
    yield from wrapped(((outcome.upper(), f"bold {outcome}"), (f"  {asked.verdict.reason}", "")), width, hanging=6)
    if answer.speed is not None:
        said = speed_sentence(answer.speed, answer.workload.trains)
        if outcome == "no":
            said = f"If it fitted: {said[0].lower()}{said[1:]}"
        yield from wrapped(line(said), width)
    for number, advice in enumerate(answer.advices, 1):
        yield BLANK
        yield from _advice(number, advice, answer, look, width, gpu)
    if not answer.advices and outcome not in ("fits", "unknown"):
        yield BLANK
        yield from wrapped(line("Nothing that is known here makes it fit this card."), width)
    if answer.job is not None:
        yield from job_lines(answer.job, width)
    if answer.bounds:
        yield BLANK
        yield line("How far this card goes, all else as it is", "bold")
        columns = (Column(), Column("asked", "right"), Column("largest", "right"), Column("then", flexible=True))
        rows = [
            (
                line(FIELD_TITLES[b.field]),
                line(f"{b.asked:,}"),
                line(f"{b.largest:,}", "bold"),
                line(b.next_step, "dim"),
            )
            for b in answer.bounds
        ]
        yield from indented(table(columns, rows, width - 2))
    if len(answer.front) > 1:
        yield BLANK
        yield from wrapped(
            line("No plan that was looked at beats these in memory, time and quality at once", "bold"), width
        )
        yield from indented(_front(answer, width - 2))
    notes = advice_notes(answer)
    if notes:
        yield BLANK
    for note in notes:
        yield from wrapped(line(f"- {note}", "dim"), width, hanging=2)


def _advice(
    number: int, advice: Advice, answer: AdviceAnswer, look: Look, width: int, gpu: str | None
) -> Iterator[Line]:
    reasons = f" ({', '.join(advice.reasons)})" if advice.reasons else ""
    heading = " + ".join(move.title for move in advice.moves)
    yield from wrapped(((f"{number}. {heading}", "bold"), (reasons, "dim")), width, hanging=3)
    yield from indented(_bars(advice, answer, look), 3)
    sentences = [*advice_sentences(advice)]
    costs = list(dict.fromkeys(move.cost for move in advice.moves if move.cost))
    # What costs nothing goes without saying beside what does.
    costs = [cost for cost in costs if not cost.startswith(NOTHING)] or costs[:1]
    sentences.append(cost_words(costs))
    needs = dict.fromkeys(move.needs for move in advice.moves if move.needs)
    sentences.append(f"Needs: {'; '.join(needs)}." if needs else "")
    if advice.then:
        sentences.append(f"Then: {'; or '.join(advice.then)}.")
    yield from indented(wrapped(line(" ".join(s for s in sentences if s)), width - 3), 3)
    yield from indented(
        wrapped(line(command_line(advice.model.id, advice.workload, advice.asked, gpu), "dim"), width - 3, 2), 3
    )


def _bars(advice: Advice, answer: AdviceAnswer, look: Look) -> Iterator[Line]:
    """The need before and after beside what is free."""
    before, after = answer.asked.estimate.minimum_mean, advice.estimate.minimum_mean
    free = advice.verdict.free_bytes
    most = max(before, after, free or 0)
    rows = [("now", before, answer.asked.verdict.outcome), ("then", after, advice.verdict.outcome)]
    for name, need, outcome in rows:
        yield (
            (f"{name:<5}", "dim"),
            (look.bar(need / most, BAR).ljust(BAR), outcome),
            (f" {gib(need)}", ""),
        )
    if free is not None:
        yield ((f"{'free':<5}", "dim"), (look.bar(free / most, BAR).ljust(BAR), "dim"), (f" {gib(free)}", "dim"))


def advice_sentences(advice: Advice) -> list[str]:
    """What a change saves, how long it takes, and where the peak goes."""
    return [said for said in (_memory(advice), _time(advice), _peak(advice)) if said]


def cost_words(costs: Sequence[str]) -> str:
    """What changes cost; empty where nothing is said.

    >>> cost_words(["none: as fast or faster"]), cost_words(["less can be learnt"])
    ('Costs nothing: as fast or faster.', 'Costs: less can be learnt.')
    """
    said = "; ".join(costs)
    if said.startswith(NOTHING):
        return f"Costs nothing{said[len(NOTHING) :]}."
    return f"Costs: {said}." if said else ""


def advice_notes(answer: AdviceAnswer) -> tuple[str, ...]:
    """What else is to be known."""
    calibrated = calibrated_by(answer.calibration)
    return (*answer.notes, *([calibrated] if calibrated else ()))


def _memory(advice: Advice) -> str:
    spare = advice.verdict.headroom_bytes
    left = "" if spare is None else f", {gib(abs(spare))} {'to spare' if spare >= 0 else 'short'}"
    verb = "Saves" if advice.saved_bytes >= 0 else "Takes"
    return f"{verb} {gib(abs(advice.saved_bytes))}: needs {gib(advice.estimate.minimum_mean)}{left}.".replace(
        " GiB", f"{NBSP}GiB"
    )


def _host(advice: Advice, answer: AdviceAnswer) -> str:
    """What the computer's own memory has to hold, where it is more than before."""
    held = advice.estimate.host_bytes
    if held <= answer.asked.estimate.host_bytes:
        return ""
    return f"The computer's own memory holds {gib(held)}.".replace(" GiB", f"{NBSP}GiB")


def _time(advice: Advice) -> str:
    how = time_beside(advice.relative_time) or "as fast as before"
    how = f"{how[0].upper()}{how[1:]}"
    known = speed_words(advice.speed)
    return f"{how}: {known}." if known else f"{how}."


def calibrated_by(calibration: AppliedCalibration | None) -> str:
    """Which measurement corrects the figures; empty where none does."""
    return "" if calibration is None else f"corrected by calibration {calibration.id} ({calibration.kinship})"


def _peak(advice: Advice) -> str:
    if advice.peak_before == advice.peak_after:
        return ""
    return f"The peak moves from {PHASE_TITLES[advice.peak_before]} to {PHASE_TITLES[advice.peak_after]}."


def _front(answer: AdviceAnswer, width: int) -> list[Line]:
    columns = (
        Column("GiB", "right"),
        Column("time", "right"),
        Column("verdict"),
        Column("peak at", optional=1),
        Column("changes", flexible=True),
    )
    rows = []
    for advice in answer.front[:FRONT]:
        outcome = advice.verdict.outcome
        rows.append(
            (
                line(f"{advice.estimate.minimum_mean / GIB:.2f}"),
                line(f"×{advice.relative_time:.2f}"),
                line(outcome, f"bold {outcome}"),
                line(PHASE_NAMES.get(advice.peak_after, advice.peak_after), "dim"),
                line(" + ".join(move.title for move in advice.moves)),
            )
        )
    return table(columns, rows, width)
