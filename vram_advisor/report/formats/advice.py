"""Advice as CSV, one row for each plan, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vram_advisor.report.advice_document import OneAdviceDocument, advice_document
from vram_advisor.report.advising import FIELD_TITLES, advice_notes
from vram_advisor.report.command import command_line
from vram_advisor.report.formats.csv_rows import ENDS, csv_text
from vram_advisor.report.formats.markdown import escaped, fenced, items, table
from vram_advisor.report.formats.options_picture import MARKS, WORDS
from vram_advisor.report.words import METHODS
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from vram_advisor.domain.advice import Advice, AdviceAnswer

RATES = ("seconds_per_step", "tokens_per_second")


def advice_csv(answer: AdviceAnswer, gpu: str | None) -> str:
    """The plan as asked, the advice, and the plans that none beats in memory, time and quality at once.

    Args:
        gpu: the card as it was named, for the commands.
    """
    document = advice_document(answer)
    asked = {
        "list": "asked", "rank": 0, "model": document["model"], "changes": "", "tier": "", "costs": "", "needs": "",
        **_verdict(document["verdict"]), "minimum_bytes": document["minimum_bytes"],
        "allocated_bytes": answer.asked.estimate.peak.allocated_bytes.mid, "saved_bytes": 0, "relative_time": 1,
        "quality": 0, "peak_phase": answer.asked.estimate.peak.phase, **_speed(document["speed"]),
        "command": command_line(document["model"], answer.workload, answer.asked.plan, gpu),
    }  # fmt: skip
    rows = [asked]
    for name, advices, documents in (
        ("advice", answer.advices, document["advices"]),
        ("front", answer.front, document["front"]),
    ):
        for rank, (advice, one) in enumerate(zip(advices, documents, strict=True), 1):
            rows.append(_row(name, rank, advice, one, gpu))
    return csv_text(rows)


def advice_markdown(answer: AdviceAnswer, gpu: str | None) -> str:
    """Verdict, what would make it fit with its commands, and how far the card goes."""
    outcome, device = answer.asked.verdict.outcome, answer.device
    where = f" on {device.name}" if device else ""
    parts = [
        f"## {escaped(f'{answer.model.id}, {METHODS[answer.workload.method]}{where}')}",
        f"**{MARKS[outcome]} {WORDS[outcome]}** {escaped(answer.asked.verdict.reason)}",
    ]
    if answer.advices:
        rows = [_cells(number, advice) for number, advice in enumerate(answer.advices, 1)]
        parts.append(
            table(["", "change", "needs", "spare", "time", "verdict", "costs"], rows, ["needs", "spare", "time"])
        )
    for number, advice in enumerate(answer.advices, 1):
        parts += [f"Change {number}:", fenced(command_line(advice.model.id, advice.workload, advice.asked, gpu))]
    if answer.bounds:
        bounds = [[FIELD_TITLES[b.field], f"{b.asked:,}", f"{b.largest:,}", b.next_step] for b in answer.bounds]
        parts += [
            "### How far this card goes, all else as it is",
            table(["", "asked", "largest", "then"], bounds, ["asked", "largest"]),
        ]
    notes = advice_notes(answer)
    return "\n\n".join([*parts, *([items(notes)] if notes else ())]) + "\n"


def _cells(number: int, advice: Advice) -> list[str]:
    spare, outcome = advice.verdict.headroom_bytes, advice.verdict.outcome
    costs = dict.fromkeys(move.cost for move in advice.moves if move.cost)
    return [
        str(number),
        " + ".join(move.title for move in advice.moves),
        gib(advice.estimate.minimum_mean),
        "–" if spare is None else gib(spare),
        f"×{advice.relative_time:.2f}",
        f"{MARKS[outcome]} {WORDS[outcome]}",
        "; ".join(costs),
    ]


def _row(name: str, rank: int, advice: Advice, one: OneAdviceDocument, gpu: str | None) -> dict[str, Any]:
    moves = one["moves"]
    return {
        "list": name, "rank": rank, "model": one["model"], "changes": " + ".join(move["title"] for move in moves),
        "tier": advice.tier, "costs": "; ".join(dict.fromkeys(m["cost"] for m in moves if m["cost"])),
        "needs": "; ".join(dict.fromkeys(m["needs"] for m in moves if m["needs"])), **_verdict(one["verdict"]),
        "minimum_bytes": one["minimum_bytes"], "allocated_bytes": one["allocated_bytes"],
        "saved_bytes": one["saved_bytes"], "relative_time": one["relative_time"], "quality": one["quality"],
        "peak_phase": one["peak_after"], **_speed(one["speed"]),
        "command": command_line(advice.model.id, advice.workload, advice.asked, gpu),
    }  # fmt: skip


def _verdict(verdict: Any) -> dict[str, Any]:
    return {name: verdict[name] for name in ("outcome", "probability", "free_bytes", "headroom_bytes")}


def _speed(speed: Any) -> dict[str, Any]:
    return {f"{rate}_{end}": speed and speed[rate][end] for rate in RATES for end in ENDS}
