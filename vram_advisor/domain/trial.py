"""A short fine-tune that is run for its measurements, and what it measured."""

from dataclasses import dataclass, field
from typing import Literal

from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.record import check

Backend = Literal["cuda", "rocm", "mps", "xpu", "cpu", "fake"]
"""Where a trial runs. fake: on tensors without memory."""

Outcome = Literal["measured", "out_of_memory", "killed", "timed_out", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is run: a model of some depth with random weights, a workload, a plan, a number of steps."""

    config: dict[str, object]
    """``config.json`` of the model at the depth that runs."""
    workload: Workload
    plan: Plan
    """With every choice made (``memory.setup.resolved``)."""
    backend: Backend
    steps: int = field(default=3, metadata={"minimum": 2, "maximum": 10_000})
    """Optimizer steps; the states of an optimizer appear in the first."""
    lengths: tuple[int, ...] = ()
    """Tokens of the sequences of a dataset, in order; empty: all of ``sequence_length``."""
    processes: int = field(default=1, metadata={"minimum": 1, "maximum": 1024})
    """Processes, one GPU each."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where a trial ran: what moves its numbers."""

    backend: Backend
    device: str
    """Name of the GPU as NVML prints it, or of the processor."""
    total_bytes: int | None = None
    """Memory of the device [B]."""
    sm_count: int | None = None
    compute_capability: str | None = None
    driver: str | None = None
    system: str
    versions: dict[str, str]
    """Of python, torch, transformers, peft, accelerate, bitsandbytes, trl, cuda: those that are installed."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one trial measured. What the backend cannot tell is None."""

    trial: Trial
    environment: Environment
    outcome: Outcome
    rank: int = 0
    """Process of a trial on several GPUs."""
    resident_bytes: int | None = None
    """Live tensors between two steps [B]: weights, adapters, optimizer states, workspaces."""
    phase_bytes: dict[str, int] = field(default_factory=dict)
    """Largest allocated bytes by phase (names of ``domain.estimate.Phase``) over the steps after the first [B]."""
    allocated_bytes: int | None = None
    """Largest of all phases [B]; where memory ran out, a lower bound of what was needed."""
    reserved_bytes: int | None = None
    """What the allocator took from the device at most [B]."""
    simulated_bytes: int | None = None
    """What a simulated caching allocator takes for the same steps on tensors without memory [B]: no figure of the
    device, but what ``reserved_bytes`` is compared with."""
    process_bytes: int | None = None
    """What the driver counted for the process at most [B]."""
    context_bytes: int | None = None
    """Process memory outside the allocator [B]."""
    step_seconds: float | None = None
    """Median over the steps after the first [s]."""
    tokens_per_second: float | None = None
    watts: float | None = None
    """Mean power of the device during the steps [W]."""
    disturbed_bytes: int = 0
    """Change of what other processes hold on the device while the trial ran [B]."""
    message: str = ""
    """Why it did not measure, in a sentence."""

    def __post_init__(self) -> None:
        check(self)
