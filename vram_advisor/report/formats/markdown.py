"""Markdown as GitHub renders it: sentences, tables and the command in a fence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vram_advisor.report import words
from vram_advisor.report.calibration_words import rests_on
from vram_advisor.report.formats.canvas import span
from vram_advisor.report.formats.markup import clean
from vram_advisor.report.formats.numbers_picture import four_numbers
from vram_advisor.report.formats.options_picture import MARKS, WORDS
from vram_advisor.report.formats.timeline_picture import phase_name
from vram_advisor.report.sizes import size
from vram_advisor.report.table import first_product
from vram_advisor.report.vendor import NVIDIA, terms
from vram_advisor.units.bytes import gib

if TYPE_CHECKING:
    from vram_advisor.domain.answer import Answer, Option

SPECIAL = re.compile(r"([\\`*\[\]<>|~#&!$]|(?<!\w)_|_(?!\w))")
"""What Markdown, or GitHub's mathematics, would take for markup. An underscore inside a word is none."""


def answer_markdown(answer: Answer, command: str, remarks: tuple[str, ...] = ()) -> str:
    """The answer of ``check``.

    Args:
        command: the command line that makes it again.
        remarks: what else is to be known, beside the warnings of the answer.
    """
    known = (*answer.warnings, *remarks)
    option, said = words.shown(answer), words.verdict(answer)
    parts = [
        f"## {escaped(words.title(answer))}",
        f"**{MARKS[said.outcome]} {said.badge}** {escaped(said.text)}",
        escaped(words.details(answer)),
        items(words.next_steps(answer)),
        "### Options",
        options_table(answer),
        f"### {escaped(option.title)} at its peak, {phase_name(option.estimate.peak.phase)}",
        components_table(option, answer),
        "### Phase by phase",
        phases_table(option),
        "### Assumed",
        items((*answer.assumptions, rests_on(answer))),
        *(("### Worth knowing", items(known)) if known else ()),
        fenced(command),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def options_table(answer: Answer) -> str:
    """The four numbers of every option, each with its 90 % interval."""
    names = [name for name, _, _ in four_numbers(answer.options[0], "")]
    rows = []
    for option in answer.options:
        numbers = [f"{gib(n.mid)} ({span(n)})" for _, _, n in four_numbers(option, "")]
        outcome = option.verdict.outcome
        rows.append([option.title, *numbers, f"{MARKS[outcome]} {WORDS[outcome]}{_room(option)}"])
    return table(["option", *names, "verdict"], rows, right=names)


def components_table(option: Option, answer: Answer) -> str:
    """What is alive at the peak, the largest part first, and the two sums."""
    peak = option.estimate.peak
    alive = sorted((c for c in option.estimate.components if peak.phase in c.alive), key=lambda c: -abs(c.nbytes))
    said, need = terms(answer.device), peak.minimum_bytes.mid
    rows = [[size(c.nbytes), c.label.replace(NVIDIA.blas, said.blas), first_product(c)] for c in alive]
    rows.append([size(peak.allocated_bytes.mid), "allocated at the peak", ""])
    if option.estimate.share_bytes is None:
        rows.append([size(need - peak.allocated_bytes.mid), said.overhead, said.basis])
    rows.append([size(need), "minimum to run", ""])
    return table(["size", "part", "as computed"], rows, right=["size"])


def phases_table(option: Option) -> str:
    """The most that is allocated in each phase, the worst in bold."""
    worst = option.estimate.peak.phase
    lines = ["| phase | allocated |", "| --- | ---: |"]
    for phase in option.estimate.phases:
        mark = "**" if phase.phase == worst else ""
        lines.append(f"| {mark}{phase_name(phase.phase)}{mark} | {mark}{size(phase.allocated_bytes)}{mark} |")
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> str:
    """A table; every cell is escaped.

    Args:
        headings: of the columns.
        rows: cells.
        right: headings of columns of numbers.
    """
    aligned = set(right)
    lines = [
        f"| {' | '.join(map(escaped, headings))} |",
        f"| {' | '.join('---:' if heading in aligned else '---' for heading in headings)} |",
    ]
    lines += [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    return "\n".join(lines)


def items(sentences: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def fenced(command: str) -> str:
    """A command in a fence that is longer than any that it holds."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{' '.join(clean(command).splitlines())}\n{fence}"


def escaped(text: str) -> str:
    r"""Text on one line in which nothing is markup.

    >>> escaped("a|b <c> adamw_torch")
    'a\\|b \\<c\\> adamw_torch'
    """
    return SPECIAL.sub(r"\\\1", " ".join(clean(text).split()))


def _room(option: Option) -> str:
    spare = option.verdict.headroom_bytes
    return "" if spare is None else f", {size(abs(spare))} {'spare' if spare >= 0 else 'short'}"
