"""The picture of the verdict: what is needed on the card that there is, how sure that is, and where free memory ends."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from vram_advisor.domain.answer import Option
from vram_advisor.domain.gpu import Device
from vram_advisor.report.formats.canvas import canvas, label, pointer, span, upright, whisker
from vram_advisor.report.formats.markup import node, share
from vram_advisor.report.formats.parts import Part, available, block, draw, kind_order, needed, remaining
from vram_advisor.units.bytes import gib

ABOVE, BAR = 32, 48
"""Pixels for the label of the card, and of the bar."""


def memory_picture(option: Option, device: Device | None) -> Element:
    """The bar of an option on the card."""
    estimate = option.estimate
    need = estimate.peak.minimum_bytes
    total = max(need.high, device.total_bytes if device else 0, 1)
    top = ABOVE if device else 2
    below = top + BAR
    height = below + (72 if estimate.host_bytes else 38)
    root = canvas("memory", f"Memory of {option.title} at its peak", _described(option, device), height)
    parts = needed(option, device, kind_order(option))
    draw(root, [*parts, *(remaining(option, device) if device else ())], total, top, BAR)
    if device is not None:
        _capacity(root, option, device, total)
    whisker(root, need.low / total, need.mid / total, need.high / total, below + 13)
    label(root, f"{gib(need.mid)} (90 %: {span(need)})", need.mid / total, below + 34, "strong")
    if estimate.host_bytes:
        label(root, f"in the computer's own memory: {gib(estimate.host_bytes)}", 0, below + 56, "soft")
        host = Part("in the computer's own memory", estimate.host_bytes, "p5")
        block(root, host, "0%", share(host.nbytes, max(total, host.nbytes)), below + 62, 10)
    return root


def _capacity(root: Element, option: Option, device: Device, total: int) -> None:
    """Where free memory ends; what is needed beyond it is framed."""
    need, free = option.estimate.peak.minimum_bytes.mid, available(option, device)
    end = free / total
    if need > free:
        node(
            root, "rect", x=share(end, 1), width=share(need - free, total), y=ABOVE - 2, height=BAR + 4,
            class_="none no-line thick dash",
        )  # fmt: skip
    upright(root, end, ABOVE - 5, ABOVE + BAR + 4, "ink-line mark")
    pointer(root, end, ABOVE - 6)
    said = "free memory ends at" if option.estimate.share_bytes is None else "its share of the card ends at"
    label(root, f"{said} {gib(free)}", end, 14)


def _described(option: Option, device: Device | None) -> str:
    need = option.estimate.peak.minimum_bytes
    said = f"It needs {gib(need.mid)}, with 90 % certainty {span(need)}"
    if device is not None:
        said += f"; {gib(available(option, device))} of {gib(device.total_bytes)} can be had"
    parts = needed(option, device, kind_order(option))
    return f"{said}. Parts: {', '.join(f'{part.title} {gib(part.nbytes)}' for part in parts)}."
