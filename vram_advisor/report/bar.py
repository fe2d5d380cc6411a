"""The memory bar of the peak, and a bar for each phase, as rows of coloured cells."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from vram_advisor.domain.answer import Option
from vram_advisor.domain.gpu import Device
from vram_advisor.report.look import Look
from vram_advisor.units.bytes import gib

KIND_TITLES = {
    "weights": "weights",
    "adapters": "adapters",
    "gradients": "gradients",
    "optimizer_state": "optimizer state",
    "checkpoints": "layer inputs kept",
    "activations": "activations",
    "working_set": "one layer at work",
    "loss": "logits and loss",
    "kv_cache": "KV cache",
    "workspace": "workspaces",
    "inputs": "inputs",
}
"""Short titles of the kinds of components; another kind is written as it is called."""
PARTS = 6
"""The largest kinds that get a segment of their own; the rest share one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the bar."""

    title: str
    nbytes: int
    role: str
    """part, overhead, free, other or beyond: chooses glyph and colour."""


def segments(option: Option, device: Device | None) -> list[Segment]:
    """What the card holds at the peak, the largest part first, then what is free and what others hold."""
    estimate = option.estimate
    kinds: dict[str, int] = {}
    for component in estimate.components:
        if estimate.peak.phase in component.alive:
            kinds[component.kind] = kinds.get(component.kind, 0) + component.nbytes
    ordered = sorted(kinds.items(), key=lambda kind: -kind[1])
    found = [Segment(KIND_TITLES.get(k, k.replace("_", " ")), n, "part") for k, n in ordered[:PARTS]]
    if rest := sum(n for _, n in ordered[PARTS:]):
        found.append(Segment("other", rest, "part"))
    need = int(estimate.minimum_mean)
    found.append(Segment("CUDA and allocator", need - sum(kinds.values()), "overhead"))
    if device is not None:
        found.append(Segment("free", max(0, device.free_bytes - need), "free"))
        found.append(Segment("driver and other programs", device.total_bytes - max(device.free_bytes, need), "other"))
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


def memory_bar(option: Option, device: Device | None, look: Look, width: int) -> list[Text]:
    """The bar, the mark where free memory ends, and the legend."""
    found = segments(option, device)
    counts = cells([segment.nbytes for segment in found], width)
    bar, legend, part = Text(), Text(), 0
    for segment, count in zip(found, counts, strict=True):
        glyph, style = look.segment(segment.role, part)
        part += segment.role == "part"
        bar.append(glyph * count, style)
        if legend:
            legend.append("  ")
        # A no-break space keeps the swatch, the name and the figure on one line.
        legend.append(f"{glyph}\u00a0", style)
        legend.append(f"{segment.title} {gib(segment.nbytes)}".replace(" ", "\u00a0"))
    lines = [bar]
    need = int(option.estimate.minimum_mean)
    if device is not None and need > device.free_bytes:
        scale = sum(segment.nbytes for segment in found)
        at = min(width - 1, int(device.free_bytes * width / scale))
        note = f"free memory ends here: {gib(device.free_bytes)}"
        mark = f"{' ' * at}{look.up} {note}" if at + len(note) + 2 <= width else f"{note} {look.up}".rjust(at + 1)
        lines.append(Text(mark, look.bad))
    return [*lines, legend]


def phase_bars(option: Option, look: Look, width: int) -> list[Text]:
    """One bar per phase in the order of the step, the worst marked."""
    phases = option.estimate.phases
    most = max(phase.allocated_bytes for phase in phases)
    name_width = max(len(phase.phase) for phase in phases)
    figures = [gib(phase.allocated_bytes) for phase in phases]
    figure_width = max(map(len, figures))
    room = width - name_width - figure_width - 10
    lines = []
    for phase, figure in zip(phases, figures, strict=True):
        worst = phase.phase == option.estimate.peak.phase
        style = look.worst if worst else look.calm
        line = Text(f"{phase.phase:<{name_width}}  ", "bold" if worst else "")
        line.append(look.bar(phase.allocated_bytes / most, room), style)
        line.append(f"  {figure:>{figure_width}}", "bold" if worst else "")
        if worst:
            line.append(f" {look.here} peak", look.worst)
        lines.append(line)
    return lines
