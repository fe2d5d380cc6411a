"""A trace beside the closed form of the same step: where they differ, one of them is wrong.

The closed form names what belongs to the layer at work, a trace what was there before it. Both mean the same bytes, so
they are compared where their parts meet.
"""

from dataclasses import dataclass

from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.trace import Compared, Trace, TracedPhase

PARTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "weights": (frozenset({"weights", "reference"}), frozenset({"weights"})),
    "adapters": (frozenset({"adapters"}), frozenset({"adapters"})),
    "optimizer": (frozenset({"optimizer_state"}), frozenset({"optimizer"})),
    "gradients": (frozenset({"gradients"}), frozenset({"gradients"})),
    "activations": (
        frozenset({"checkpoints", "activations", "inputs", "working_set", "loss", "optimizer_temporaries"}),
        frozenset({"activations", "temporaries", "logits"}),
    ),
}
"""Kinds of components, and categories of a trace, by the part that they are: activations are all that comes and goes in
a pass, logits among them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The closed form beside a trace."""

    phases: tuple[Compared, ...]
    components: tuple[Compared, ...]
    """Parts at the worst phase of the trace."""


def compare(estimate: Estimate, trace: Trace) -> Comparison:
    """The closed form beside the trace, phase by phase and part by part.

    Args:
        estimate: without the workspaces of libraries, which no trace sees: with ``Coefficients`` whose workspaces are 0.
        trace: of the same workload and plan.
    """
    formula = {phase.phase: phase.allocated_bytes for phase in estimate.phases}
    phases = tuple(
        Compared(phase.phase, formula[phase.phase], phase.allocated_bytes)
        for phase in trace.phases
        if phase.phase in formula
    )
    return Comparison(phases, parts(estimate, trace.peak))


def parts(estimate: Estimate, phase: TracedPhase) -> tuple[Compared, ...]:
    """The parts of one phase.

    The gradients of the layer at work count as gradients in a trace and as part of its work in the closed form.
    """
    alive = [component for component in estimate.components if phase.phase in component.alive]
    return tuple(
        Compared(
            name,
            sum(component.nbytes for component in alive if component.kind in kinds),
            sum(phase.by_category.get(category, 0) for category in categories),
        )
        for name, (kinds, categories) in PARTS.items()
    )
