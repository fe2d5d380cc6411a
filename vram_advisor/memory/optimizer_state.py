"""What the optimizer keeps between steps, and what one step needs beside it."""

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.optimizer import Optimizer
from vram_advisor.memory.trained import Trained
from vram_advisor.units.grid import ceil_div


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OptimizerBytes:
    """Bytes of an optimizer [B]."""

    state: int
    """On the GPU between steps."""
    paged: int
    """In memory that the driver may move to the host."""
    temporary: int
    """Alive only inside a step."""


def state_of(row: Optimizer, tensor: Trained, fp32_tables: bool = False) -> int:
    """State of one copy of a tensor [B].

    Args:
        row: the optimizer.
        tensor: what is trained.
        fp32_tables: quantised states of embeddings are kept in fp32 where the optimizer can be told so, as the Trainer
            tells it (transformers ``trainer.py`` create_optimizer: register_module_override).
    """
    n = tensor.each
    matrix = len(tensor.shape) >= 2
    if row.matrices_only and not matrix:
        return 2 * n * tensor.itemsize
    itemsize = 4 if row.state_fp32 else tensor.itemsize
    if row.factored:
        rows = n // tensor.shape[-1]
        return (rows + tensor.shape[-1] if matrix else n) * 4
    if row.low_rank and matrix:
        small, large = min(tensor.shape[-2:]), max(tensor.shape[-2:])
        r = min(row.low_rank, small)
        elements = row.buffers * r * large
        state = elements * itemsize if not row.bits else elements + ceil_div(elements, row.block) * 4
        return int(state + (r * small * tensor.itemsize if row.projector else 0))
    if is_quantised(row, tensor, fp32_tables):
        return int(row.buffers * ceil_div(n * row.bits, 8)) + scales(row, tensor)
    if row.bits:
        itemsize = 4
    return row.buffers * n * itemsize


def is_quantised(row: Optimizer, tensor: Trained, fp32_tables: bool) -> bool:
    """Whether the states of a tensor take the bits of the optimizer; ``fp32_tables`` as in ``state_of``."""
    overridden = fp32_tables and row.overrides and tensor.embedding
    return bool(row.bits) and tensor.each >= row.minimum_numel and not overridden


def scales(row: Optimizer, tensor: Trained) -> int:
    """fp32 scales of the quantised states of one copy of a tensor [B]."""
    return int(row.buffers * ceil_div(tensor.each, row.block) * 4)


@lru_cache(maxsize=1024)
def optimizer_bytes(row: Optimizer, trained: tuple[Trained, ...], fp32_tables: bool = False) -> OptimizerBytes:
    """State and temporaries of a step for the trained tensors.

    ``fp32_tables`` as in ``state_of``. Tensors of at least ``paged_numel`` elements are paged, the scales of their
    quantised states are not (bitsandbytes ``optim/optimizer.py`` get_state_buffer, init_state).
    """
    state = paged = 0
    for tensor in trained:
        nbytes = state_of(row, tensor, fp32_tables)
        stays = nbytes
        if row.paged_numel and tensor.each >= row.paged_numel:
            stays = scales(row, tensor) if is_quantised(row, tensor, fp32_tables) else 0
        state += stays * tensor.count
        paged += (nbytes - stays) * tensor.count
    parameters = sum(t.nbytes for t in trained)
    largest = max(trained, key=lambda t: t.each)
    fp32 = row.largest_fp32_copies + (row.largest_upcast_copies if largest.itemsize < 4 else 0.0)
    temporary = row.copies * parameters + (row.largest_copies * largest.itemsize + fp32 * 4) * largest.each
    return OptimizerBytes(state, paged, int(temporary))
