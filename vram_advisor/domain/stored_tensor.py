"""One tensor as a file holds it: read from a header, or foreseen for a file that is not there."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a checkpoint or a GGUF file."""

    name: str
    dtype: str
    """As the file writes it (BF16, F32, U8, Q4_K ...)."""
    shape: tuple[int, ...]
    """As PyTorch writes it, (out, in); ggml counts dimensions from the other end."""
    nbytes: int
    """Bytes in the file [B]."""

    @property
    def numel(self) -> int:
        """Elements; of a packed dtype (U8, I32) the containers."""
        return prod(self.shape)
