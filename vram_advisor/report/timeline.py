"""Memory over the phases of a step: one stacked bar per phase, in the order of time."""

from __future__ import annotations

from vram_advisor.domain.answer import Option
from vram_advisor.domain.estimate import PhasePeak
from vram_advisor.report.bar import KIND_TITLES, NAMED, PHASE_NAMES
from vram_advisor.report.layout import Line, Span, flow
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import size

MARK = " peak"


def ranked_kinds(option: Option) -> list[str]:
    """Kinds of components: those of the peak as in the memory bar, then the others by their largest share."""
    most: dict[str, int] = {}
    at_peak: dict[str, int] = {}
    for phase in option.estimate.phases:
        kinds = kinds_of(option, phase)
        if phase.phase == option.estimate.peak.phase:
            at_peak = kinds
        for kind, nbytes in kinds.items():
            most[kind] = max(most.get(kind, 0), nbytes)
    return sorted(most, key=lambda kind: (kind not in at_peak, -at_peak.get(kind, most[kind])))


def kinds_of(option: Option, phase: PhasePeak) -> dict[str, int]:
    """Bytes of each kind that are alive in a phase [B]."""
    found: dict[str, int] = {}
    for component in option.estimate.components:
        if phase.phase in component.alive:
            found[component.kind] = found.get(component.kind, 0) + component.nbytes
    return found


def stacked_phases(option: Option, look: Look, width: int) -> list[tuple[str, Line]]:
    """For each phase its name and a line: title, size, blocks by kind, and the mark of the worst."""
    phases = option.estimate.phases
    most = max(1, *(phase.allocated_bytes for phase in phases))
    names = [PHASE_NAMES.get(phase.phase, phase.phase) for phase in phases]
    wide, order = max(map(len, names)), ranked_kinds(option)
    room = max(4, width - wide - 12 - len(MARK) - 2)
    rows: list[tuple[str, Line]] = []
    for name, phase in zip(names, phases, strict=True):
        worst = phase.phase == option.estimate.peak.phase
        style = "bold" if worst else ""
        spans: list[Span] = [(name.ljust(wide), style), (f" {size(phase.allocated_bytes):>10} ", style)]
        spans += _blocks(kinds_of(option, phase), order, look, room * phase.allocated_bytes / most)
        if worst:
            spans.append((f" {look.here}{MARK}", "bold peak"))
        rows.append((phase.phase, tuple(spans)))
    return rows


def kinds_legend(option: Option, look: Look, width: int) -> list[Line]:
    """What the blocks are."""
    entries: list[Line] = []
    for i, kind in enumerate(ranked_kinds(option)[: NAMED + 1]):
        last = i == NAMED
        glyph, style = look.segment("part", i)
        title = "other" if last else KIND_TITLES.get(kind, kind.replace("_", " "))
        entries.append(((glyph, style), (f" {title}", "dim")))
    return flow(entries, width)


def _blocks(kinds: dict[str, int], order: list[str], look: Look, cells: float) -> list[Span]:
    """Whole cells by kind: ends are rounded rather than lengths, so that the sum stays right."""
    total = max(1, sum(kinds.values()))
    spans: list[Span] = []
    done, drawn = 0, 0
    for i, kind in enumerate(order):
        done += kinds.get(kind, 0)
        upto = round(cells * max(0, done) / total)
        glyph, style = look.segment("part", min(i, NAMED))
        if upto > drawn:
            spans.append((glyph * (upto - drawn), style))
            drawn = upto
    return spans
