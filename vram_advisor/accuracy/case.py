"""A row of a ledger, as runs that it could mean."""

from dataclasses import dataclass

from vram_advisor.domain.coefficients import Coefficients
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Case:
    """One run that a row could mean; the weights of a row sum to one."""

    weight: float
    model: ModelSpec
    workload: Workload
    plan: Plan
    recipe: Recipe
    device: Device | None
    coefficients: Coefficients | None = None
    """Measured numbers that the row itself states (a CUDA context)."""
    phase: str | None = None
    """The one phase that the row measured; None: the whole step."""
    sum_over: int = 1
    """The figures of the row are sums over so many GPUs."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not scored, and why."""

    id: str
    reason: str
