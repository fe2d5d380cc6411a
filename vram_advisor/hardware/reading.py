"""What one probe found."""

from dataclasses import dataclass

from vram_advisor.domain.gpu import GpuSnapshot


@dataclass(frozen=True, slots=True)
class Reading:
    """The GPUs of one maker, and what could not be read, each as a line for a person."""

    gpus: tuple[GpuSnapshot, ...] = ()
    driver: str | None = None
    cuda_driver: str | None = None
    notes: tuple[str, ...] = ()
    next_index: int = 0
    """The first index that another maker's GPUs can have; those that could not be read keep theirs."""
    absent: str | None = None
    """Why there is nothing to read; worth saying only where no other probe found a GPU."""
