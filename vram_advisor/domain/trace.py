"""What the real training code allocates, seen on tensors without memory."""

from dataclasses import dataclass

from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TracedPhase:
    """The largest moment of one phase."""

    phase: str
    """A name of ``domain.estimate.Phase``."""
    allocated_bytes: int
    by_category: dict[str, int]
    """Its parts by what they are: weights, adapters, gradients, optimizer, logits, activations, temporaries [B]."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace:
    """A traced training step at the full depth of the model."""

    phases: tuple[TracedPhase, ...]
    resident_bytes: int
    """Live between two steps [B]."""
    reserved_bytes: int | None
    """What a simulated caching allocator takes [B]; None where only two depths were run."""
    depths: tuple[int, ...]
    """Layers of the runs behind it; one: the full depth itself."""
    device: str
    """cuda or cpu: what the tensors without memory pretended to lie on."""
    seconds: float
    host_bytes: int
    """Largest resident set of the tracing process [B]."""
    versions: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def peak(self) -> TracedPhase:
        """The worst phase."""
        return max(self.phases, key=lambda phase: phase.allocated_bytes)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compared:
    """One part or phase, by the closed form and by the trace."""

    name: str
    formula_bytes: int
    trace_bytes: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TraceAnswer:
    """A trace, and the closed form beside it."""

    model: str
    source: str
    """Where the configuration comes from."""
    workload: Workload
    plan: Plan
    """With every choice made."""
    recipe: Recipe
    trace: Trace
    estimate: Estimate | None
    """The closed form without the workspaces of libraries, which no trace sees; None where it refuses the model."""
    refused: str | None
    """Why."""
    phases: tuple[Compared, ...]
    components: tuple[Compared, ...]
    """Parts at the worst phase of the trace."""
