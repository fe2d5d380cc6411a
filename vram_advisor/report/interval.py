"""The line below the memory bar: the 90 % interval of what is needed, and where free memory ends."""

from __future__ import annotations

from vram_advisor.domain.answer import Option
from vram_advisor.domain.gpu import Device
from vram_advisor.report.layout import Line, Span
from vram_advisor.report.look import Look
from vram_advisor.report.sizes import size


def interval_line(option: Option, device: Device | None, total: int, look: Look, width: int) -> Line:
    """One line as wide as the bar above it.

    Args:
        option: what is drawn.
        device: the card; None: free memory ends nowhere.
        total: what the whole bar stands for [B].
        look: what can be shown.
        width: cells of the bar.
    """
    need = option.estimate.peak.minimum_bytes

    def cell(nbytes: int) -> int:
        return min(width - 1, max(0, int(nbytes * width / max(1, total))))

    low, high = cell(need.low), max(cell(need.low) + 1, cell(need.high))
    left, rule, right = ("├", "─", "┤") if look.unicode else ("[", "-", "]")
    cells = [" "] * width
    cells[low : high + 1] = list((left + rule * (high - low - 1) + right)[: width - low])
    note = " 90 %"
    end = None if device is None else cell(device.free_bytes)
    if end is not None and device is not None:
        cells[end] = look.up
        said = f"free ends at {size(device.free_bytes)}"
        for start in (end + 2, end - len(said) - 1):
            if start >= 0 and start + len(said) <= width and not "".join(cells[start : start + len(said)]).strip():
                cells[start : start + len(said)] = list(said)
                break
    text = "".join(cells)
    if not text[high + 1 : high + 1 + len(note) + 1].strip() and high + 1 + len(note) <= width:
        text = text[: high + 1] + note + text[high + 1 + len(note) :]
    outcome = option.verdict.outcome
    spans: list[Span] = [(text[:low], "dim"), (text[low : high + 1], f"bold {outcome}"), (text[high + 1 :], "dim")]
    return tuple((part.rstrip() if i == 2 else part, style) for i, (part, style) in enumerate(spans) if part)
