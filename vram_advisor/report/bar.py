"""The memory bar of the peak, and a bar for each phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.answer import Option
from vram_advisor.domain.gpu import Device
from vram_advisor.report.layout import Column, Line, Span, flow, line, table
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import size
from vram_advisor.report.vendor import terms

KIND_TITLES = {
    "optimizer_state": "optimizer state",
    "checkpoints": "layer inputs",
    "working_set": "layer at work",
    "loss": "logits and loss",
    "kv_cache": "KV cache",
    "workspace": "workspaces",
}
"""Short titles of the kinds of components; another kind is written as it is called."""
PHASE_NAMES = {
    "load": "loading the model",
    "forward": "forward pass",
    "loss_forward": "computing the loss",
    "loss_backward": "gradient of the loss",
    "backward_first": "backward, last layer",
    "backward_last": "backward, first layer",
    "clip": "clipping gradients",
    "optimizer_step": "optimizer step",
    "prefill": "reading the prompt",
    "decode": "generating",
    "save": "saving",
}
"""Phases in a word or three; another one is written as it is called."""
SHORTEST_BAR = 6
"""Bars shorter than this say nothing and are left out."""
NAMED = 5
"""The largest kinds that get a segment of their own; the rest share one."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Segment:
    """A stretch of the bar."""

    title: str
    nbytes: int
    role: Literal["part", "overhead", "free", "held"]


def kinds_at_peak(option: Option) -> dict[str, int]:
    """Bytes of each kind that is alive at the peak [B]. A correction is spread over the parts that it corrects."""
    estimate = option.estimate
    alive = [c for c in estimate.components if estimate.peak.phase in c.alive]
    correction = sum(c.nbytes for c in alive if c.kind == "correction")
    grown = {id(c): sum(a.nbytes(c.values) for a in c.amounts if a.rows != "one") for c in alive}
    share = correction / max(1, sum(grown.values()))
    kinds: dict[str, int] = {}
    for component in alive:
        if component.kind != "correction":
            # A correction may be negative: it is drawn within the parts that it corrects.
            nbytes = component.nbytes + round(share * grown[id(component)])
            kinds[component.kind] = kinds.get(component.kind, 0) + nbytes
    return kinds


def segments(option: Option, device: Device | None) -> list[Segment]:
    """What the card holds at the peak, the largest part first, then what is free and what others hold."""
    estimate, kinds = option.estimate, kinds_at_peak(option)
    ordered = sorted(kinds.items(), key=lambda kind: -kind[1])
    found = [Segment(KIND_TITLES.get(k, k.replace("_", " ")), n, "part") for k, n in ordered[:NAMED]]
    found.append(Segment("other", sum(n for _, n in ordered[NAMED:]), "part"))
    need = max(int(estimate.minimum_mean), sum(kinds.values()))
    found.append(Segment(terms(device).overhead, need - sum(kinds.values()), "overhead"))
    if device is not None:
        found.append(Segment("free", device.free_bytes - need, "free"))
        held = f"kept by {terms(device).keeper}" if device.source == "catalogue" else "held by others"
        found.append(Segment(held, device.total_bytes - max(device.free_bytes, need), "held"))
    return [segment for segment in found if segment.nbytes > 0]


def cells(sizes: list[int], width: int) -> list[int]:
    """Whole cells for each size: they sum to the width, and nothing that exists is invisible."""
    total = sum(sizes)
    exact = [size * width / total for size in sizes]
    whole = [max(1, int(share)) for share in exact]
    while sum(whole) != width:
        step = 1 if sum(whole) < width else -1
        able = [i for i in range(len(whole)) if step > 0 or whole[i] > 1]
        if not able:
            break
        whole[max(able, key=lambda i: step * (exact[i] - whole[i]))] += step
    return whole


def memory_bar(option: Option, device: Device | None, look: Look, width: int) -> list[Line]:
    """The bar, the mark where free memory ends, and the legend."""
    found = segments(option, device)
    bar: list[Span] = []
    legend: list[Line] = []
    for part, (segment, count) in enumerate(zip(found, cells([s.nbytes for s in found], width), strict=True)):
        glyph, style = look.segment(segment.role, part)
        bar.append((glyph * count, style))
        legend.append(((glyph, style), (f" {segment.title} {size(segment.nbytes)}", "")))
    lines: list[Line] = [tuple(bar)]
    need = int(option.estimate.minimum_mean)
    if device is not None and need > device.free_bytes:
        at = min(width - 1, int(device.free_bytes * width / sum(segment.nbytes for segment in found)))
        note = f"free memory ends here ({size(device.free_bytes)})"
        mark = f"{note} {look.up}".rjust(at + 1) if len(note) + 1 <= at else f"{' ' * at}{look.up} {note}"
        # Where the note has no room on either side of the mark it goes below.
        lines += [line(each, "no") for each in ([mark] if len(mark) <= width else [f"{' ' * at}{look.up}", note])]
    return lines + flow(legend, width)


def phase_bars(option: Option, look: Look, width: int) -> list[Line]:
    """One bar per phase in the order of the step, the worst marked."""
    phases = option.estimate.phases
    most = max(phase.allocated_bytes for phase in phases)
    names = [PHASE_NAMES.get(phase.phase, phase.phase) for phase in phases]
    room = width - max(map(len, names)) - len(f"  {size(most)}  {look.here} peak") - 2
    drawn = room >= SHORTEST_BAR
    rows = []
    for name, phase in zip(names, phases, strict=True):
        worst = phase.phase == option.estimate.peak.phase
        style = "bold" if worst else ""
        rows.append(
            (
                line(name, style),
                line(size(phase.allocated_bytes), style),
                line(look.bar(phase.allocated_bytes / most, room), "peak" if worst else "calm") if drawn else (),
                line(f"{look.here} peak", "bold peak") if worst else (),
            )
        )
    return table((Column(flexible=True), Column(side="right"), Column(), Column()), rows, width)
