"""Segments of device memory cut into blocks: what a caching allocator keeps books of.

Source: ``Block`` and ``BlockPool`` of PyTorch's ``c10/cuda/CUDACachingAllocator.cpp``.
"""

from __future__ import annotations

from bisect import bisect_left, insort

_ADDRESS_BITS = 56
"""Size and address of a block make one number that sorts by size first."""


class Block:
    """A piece of a segment."""

    __slots__ = ("address", "allocated", "mapped", "next", "pool", "previous", "size")

    def __init__(self, address: int, size: int, pool: Pool, mapped: bool = True) -> None:
        self.address = address
        self.size = size
        self.pool = pool
        self.allocated = False
        self.mapped = mapped
        """Backed by memory; False for the part of an expandable segment that has no pages."""
        self.previous: Block | None = None
        self.next: Block | None = None


class Pool:
    """Free blocks, those for small or those for large allocations."""

    __slots__ = ("_by_key", "_keys", "least_remainder", "page", "unmapped")

    def __init__(self, page: int, least_remainder: int) -> None:
        self.page = page
        """Of an expandable segment [B]."""
        self.least_remainder = least_remainder
        """A block is split where at least this much is left over [B]."""
        self.unmapped: list[Block] = []
        """Parts of expandable segments without pages, by address."""
        self._keys: list[int] = []
        self._by_key: dict[int, Block] = {}

    def blocks(self) -> list[Block]:
        """All free blocks with memory behind them."""
        return [self._by_key[key] for key in self._keys]

    def add(self, block: Block) -> None:
        """A block becomes free."""
        key = block.size << _ADDRESS_BITS | block.address
        insort(self._keys, key)
        self._by_key[key] = block

    def remove(self, block: Block) -> None:
        """A block stops being free."""
        key = block.size << _ADDRESS_BITS | block.address
        del self._keys[bisect_left(self._keys, key)]
        del self._by_key[key]

    def add_unmapped(self, block: Block) -> None:
        """A block has lost its pages, or has none yet."""
        insort(self.unmapped, block, key=lambda b: b.address)

    def take(self, size: int) -> Block | None:
        """Remove and return the smallest free block that holds ``size`` [B], at the lowest address."""
        keys, by_key = self._keys, self._by_key
        at = bisect_left(keys, size << _ADDRESS_BITS)
        if at == len(keys):
            return None
        if self.unmapped:
            # A block that can grow counts as large as it can become, so that others are used up first.
            while at + 1 < len(keys) and _can_become(by_key[keys[at + 1]]) < _can_become(by_key[keys[at]]):
                at += 1
        return by_key.pop(keys.pop(at))


def _can_become(block: Block) -> int:
    return block.size + (block.next.size if block.next is not None and not block.next.mapped else 0)


def cut(block: Block, size: int) -> Block:
    """Leave ``size`` [B] in the block and return the rest, which is in no list yet."""
    rest = Block(block.address + size, block.size - size, block.pool, block.mapped)
    block.size = size
    rest.previous, rest.next = block, block.next
    block.next = rest
    if rest.next is not None:
        rest.next.previous = rest
    return rest


def join(block: Block) -> None:
    """Make one of a free block that is in no list and its free neighbours, mapped or unmapped as it is."""
    before, after = block.previous, block.next
    if before is not None and not before.allocated and before.mapped is block.mapped:
        _leave_list(before)
        block.address = before.address
        block.size += before.size
        block.previous = before.previous
        if block.previous is not None:
            block.previous.next = block
    if after is not None and not after.allocated and after.mapped is block.mapped:
        _leave_list(after)
        block.size += after.size
        block.next = after.next
        if block.next is not None:
            block.next.previous = block


def _leave_list(block: Block) -> None:
    if block.mapped:
        block.pool.remove(block)
    else:
        block.pool.unmapped.remove(block)
