"""What comes out of a fine-tune, and what it takes to run it."""

from dataclasses import dataclass

from vram_advisor.domain.estimate import Verdict


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ServingWay:
    """One way to run the result."""

    program: str
    merged: bool
    """The adapter is added into the weights beforehand."""
    stored: str
    """How the weights lie in memory: bf16, Q4_K_M."""
    need_bytes: int | None
    """Minimum to run, with the adapter where it is beside the weights [B]; None: not modelled."""
    verdict: Verdict | None
    """On the card of the question."""
    commands: tuple[str, ...]
    """Lines of a shell, or of a file that the line before them names."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ServedResult:
    """Everything about serving one fine-tune."""

    context_length: int
    """That needs are for [tokens]."""
    adapter_bytes: int | None
    """File of the adapter [B]; None after a full fine-tune."""
    merged_bytes: int
    """Weights of the merged model in 16 bits, on disk and in system memory while it is merged [B]."""
    ways: tuple[ServingWay, ...]
    notes: tuple[str, ...]
