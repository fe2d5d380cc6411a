"""What bars are made of: parts by kind, in the order and the colours that every picture of a report shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Option
from vram_advisor.domain.estimate import PhasePeak
from vram_advisor.domain.gpu import Device
from vram_advisor.report.bar import KIND_TITLES, NAMED, kinds_at_peak
from vram_advisor.report.formats.markup import node, share
from vram_advisor.report.sizes import size
from vram_advisor.report.timeline import kinds_of, ranked_kinds
from vram_advisor.report.vendor import terms

OTHER = "other"
HATCHES = {**{f"p{i}": f"h{i}" for i in range(1, NAMED + 1)}, "over": "h6", "held": "h7"}
"""The pattern over a colour; the first part and free memory have none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar."""

    title: str
    nbytes: int
    style: str
    """Class of the style sheet."""


def kind_order(option: Option) -> list[str]:
    """Kinds of memory in the order of their colours: those of the peak first, the largest first."""
    return [kind for kind in ranked_kinds(option) if kind != "correction"]


def needed(option: Option, device: Device | None, order: list[str]) -> list[Part]:
    """What is needed at the peak, to the minimum to run."""
    kinds = kinds_at_peak(option)
    need = option.estimate.peak.minimum_bytes.mid
    beyond = max(0, need - sum(kinds.values()))
    return [*_by_kind(kinds, order), *_some(Part(terms(device).overhead, beyond, "over"))]


def remaining(option: Option, device: Device) -> list[Part]:
    """What is left of the card, and what is not to be had of it."""
    # What takes a share of the card may hold more than it needs.
    need = max(option.estimate.peak.minimum_bytes.mid, sum(kinds_at_peak(option).values()))
    held = f"kept by {terms(device).keeper}" if device.source == "catalogue" else "held by others"
    return [
        *_some(Part("free", device.free_bytes - need, "free")),
        *_some(Part(held, device.total_bytes - max(device.free_bytes, need), "held")),
    ]


def of_phase(option: Option, phase: PhasePeak, order: list[str]) -> list[Part]:
    """What is allocated in a phase. A correction is shared by what it corrects, in proportion."""
    kinds = {kind: nbytes for kind, nbytes in kinds_of(option, phase).items() if kind != "correction"}
    factor = phase.allocated_bytes / max(1, sum(kinds.values()))
    return _by_kind({kind: round(nbytes * factor) for kind, nbytes in kinds.items()}, order)


def available(option: Option, device: Device) -> int:
    """What the option may take of the card: all that is free, or the share that its runtime is given [B]."""
    free = option.verdict.free_bytes
    return device.free_bytes if free is None else free


def draw(parent: Element, parts: Iterable[Part], total: int, y: float, height: float) -> None:
    """Parts one behind the other from the left edge; the whole width stands for ``total`` [B]."""
    at = 0
    for part in parts:
        block(parent, part, share(at, total), share(part.nbytes, total), y, height)
        at += part.nbytes


def block(parent: Element, part: Part, x: str, width: str, y: float, height: float) -> None:
    """One part as a rectangle that says what it is."""
    place: dict[str, str | float] = {"x": x, "y": y, "width": width, "height": height}
    found = node(parent, "rect", class_=f"{part.style} cut rule", **place)
    node(found, "title", f"{part.title} {size(part.nbytes)}")
    if part.style in HATCHES:
        node(parent, "rect", fill=f"url(#{HATCHES[part.style]})", pointer_events="none", **place)


def _by_kind(kinds: dict[str, int], order: list[str]) -> list[Part]:
    named, rest = order[:NAMED], 0
    for kind, nbytes in kinds.items():
        rest += 0 if kind in named else nbytes
    found = [
        Part(KIND_TITLES.get(kind, kind.replace("_", " ")), kinds.get(kind, 0), f"p{i}") for i, kind in enumerate(named)
    ]
    return [part for part in [*found, Part(OTHER, rest, f"p{NAMED}")] if part.nbytes > 0]


def _some(part: Part) -> list[Part]:
    return [part] if part.nbytes > 0 else []
