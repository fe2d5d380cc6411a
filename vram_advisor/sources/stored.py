"""A checkpoint as it lies on disk: names, dtypes, shapes, bytes."""

from dataclasses import dataclass

from vram_advisor.domain.stored_tensor import StoredTensor

__all__ = ["Checkpoint", "StoredTensor"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Every tensor of a checkpoint."""

    tensors: tuple[StoredTensor, ...]
    files: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors [B]."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def numel(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.numel for tensor in self.tensors)

    @property
    def bytes_by_dtype(self) -> tuple[tuple[str, int], ...]:
        """Bytes per dtype [B], the largest first."""
        totals: dict[str, int] = {}
        for tensor in self.tensors:
            totals[tensor.dtype] = totals.get(tensor.dtype, 0) + tensor.nbytes
        return tuple(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
