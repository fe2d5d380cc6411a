"""Every component with every product of its formula, for those who want to check the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from vram_advisor.domain.answer import Option
from vram_advisor.domain.estimate import Component
from vram_advisor.report.bar import PHASE_NAMES
from vram_advisor.report.layout import Column, Line, indented, line, table, wrapped
from vram_advisor.report.sizes import size
from vram_advisor.report.vendor import NVIDIA, Terms


def explained(option: Option, width: int, terms: Terms) -> Iterator[Line]:
    """All components, those of the peak first, each with its phases, products and reference."""
    phase = option.estimate.peak.phase
    everywhere = {found.phase for found in option.estimate.phases}
    for component in sorted(option.estimate.components, key=lambda c: (phase not in c.alive, -abs(c.nbytes))):
        alive = (
            "always"
            if everywhere <= set(component.alive)
            else ", ".join(PHASE_NAMES.get(each, each) for each in component.alive)
        )
        yield from wrapped(
            (
                (f"{size(component.nbytes)} {component.label.replace(NVIDIA.blas, terms.blas)}", "bold"),
                (f" ({alive})", "dim"),
            ),
            width,
            hanging=2,
        )
        yield from indented(_products(component, width - 2))
        yield from indented(wrapped(line(f"from {component.reference}", "dim"), width - 2))


def _products(component: Component, width: int) -> list[Line]:
    values = component.values
    ordered = sorted(component.amounts, key=lambda amount: -int(amount.nbytes(values)))
    rows = [(line(size(int(amount.nbytes(values)))), line(amount.sentence(values))) for amount in ordered]
    return table((Column(side="right"), Column(flexible=True)), rows, width)
