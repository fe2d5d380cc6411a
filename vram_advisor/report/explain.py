"""Every component with every product of its formula, for those who want to check the arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from vram_advisor.domain.answer import Option
from vram_advisor.domain.estimate import Component
from vram_advisor.report.table import plain_table
from vram_advisor.units.bytes import gib


def explained(option: Option) -> Iterable[RenderableType]:
    """All components, those of the peak first, each with its phases, products and reference."""
    phase = option.estimate.peak.phase
    phases = [found.phase for found in option.estimate.phases]
    for component in sorted(option.estimate.components, key=lambda c: (phase not in c.alive, -c.nbytes)):
        alive = "always" if set(phases) <= set(component.alive) else ", ".join(component.alive)
        heading = Text(f"{gib(component.nbytes)}  {component.label}", "bold")
        yield heading.append(f"  {alive}", "not bold dim")
        yield Padding(_products(component), (0, 0, 0, 2))
        yield Text(f"  from {component.reference}", "dim")


def _products(component: Component) -> RenderableType:
    table = plain_table(("", "right"), ("", "left"))
    table.show_header = False
    values = component.values
    for amount in sorted(component.amounts, key=lambda amount: -int(amount.nbytes(values))):
        table.add_row(gib(int(amount.nbytes(values))), amount.sentence(values))
    return table
