"""An answer: what is alive when, how sure that is, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.amount import Amount

Phase = Literal[
    "load", "forward", "loss_forward", "loss_backward", "backward_first", "backward_last", "clip", "optimizer_step",
    "evaluation", "save", "prefill", "decode",
]  # fmt: skip

PHASE_TITLES: dict[str, str] = {
    "load": "loading the model",
    "forward": "the forward pass through the layers",
    "loss_forward": "computing the loss",
    "loss_backward": "the gradient of the loss",
    "backward_first": "the backward pass of the last layer, visited first",
    "backward_last": "the backward pass of the first layer, visited last",
    "clip": "clipping the gradients",
    "optimizer_step": "the optimizer step",
    "evaluation": "evaluation",
    "save": "saving",
    "prefill": "reading the prompt",
    "decode": "generating the last token",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A 90 % interval and its middle, in bytes [B]."""

    low: int
    mid: int
    high: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Component:
    """Bytes of one kind that live and die together."""

    kind: str
    label: str
    nbytes: int
    """Negative only for a correction."""
    amounts: tuple[Amount, ...]
    """What they are the sum of."""
    values: tuple[int, ...]
    """The workload: values of ``amount.SYMBOLS``."""
    alive: tuple[Phase, ...]
    reference: str
    sd: float = 0.0
    """Standard deviation [B]; 0: counted."""

    @property
    def bytes(self) -> Interval:
        """90 % interval [B]."""
        low = int(self.nbytes - 1.645 * self.sd)
        return Interval(max(min(0, self.nbytes), low), self.nbytes, int(self.nbytes + 1.645 * self.sd))

    @property
    def formula(self) -> str:
        """The sum in words, largest first."""
        ordered = sorted(self.amounts, key=lambda a: -int(a.nbytes(self.values)))
        return " + ".join(a.sentence(self.values) for a in ordered)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PhasePeak:
    """The most that is allocated in one phase."""

    phase: Phase
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class Peak:
    """The four numbers at the worst phase, each with its interval, for one GPU."""

    phase: Phase
    allocated_bytes: Interval
    """Live tensors: torch.cuda.max_memory_allocated."""
    reserved_bytes: Interval
    """With the caching allocator's slack: torch.cuda.max_memory_reserved."""
    process_bytes: Interval
    """With CUDA context and libraries: nvidia-smi."""
    minimum_bytes: Interval
    """Where out-of-memory really begins."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Adapter:
    """What is trained and what its file weighs."""

    trainable_parameters: int
    trainable_share: float
    file_bytes: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Estimate:
    """Memory of one plan on one GPU."""

    peak: Peak
    phases: tuple[PhasePeak, ...]
    components: tuple[Component, ...]
    host_bytes: int
    adapter: Adapter | None
    minimum_mean: float
    """Mean of the minimum to run [B]."""
    minimum_sd: float
    """Standard deviation of the minimum to run [B]."""
    notes: tuple[str, ...] = ()
    share_bytes: int | None = None
    """What the runtime takes of the card whatever it needs, and no more; None: what it needs."""


Outcome = Literal["fits", "tight", "spill", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does it fit."""

    outcome: Outcome
    probability: float | None
    free_bytes: int | None
    headroom_bytes: int | None
    reason: str
