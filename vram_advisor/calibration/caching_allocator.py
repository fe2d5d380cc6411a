"""PyTorch's caching allocator for CUDA, without CUDA: what a stream of allocations reserves.

Segments are asked of the device, blocks are cut from them and joined again when they come back, and segments are kept.
The rules are those of ``c10/cuda/CUDACachingAllocator.cpp`` with the sizes of ``c10/core/AllocatorConfig.h`` (PyTorch
2.13) for one stream and the default settings, or ``expandable_segments:True``: no limit to splitting, no rounding to
powers of two, no garbage collection, no CUDA graphs. Two things differ. New segments lie at rising addresses, while a
driver places them as it likes; that decides only between free blocks of one size. And the addresses of an expandable
segment do not end, while those of a real one span 9/8 of the card.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vram_advisor.calibration.segment_blocks import Block, Pool, cut, join

MIB = 1 << 20

GRANULE = 512
"""Allocations are rounded up to a multiple of it [B] (kMinBlockSize)."""
SMALL = MIB
"""Largest allocation of the small pool [B] (kSmallSize)."""
SMALL_SEGMENT = 2 * MIB
"""Segment of the small pool, or page of its expandable one [B] (kSmallBuffer)."""
LARGE_SEGMENT = 20 * MIB
"""Segment for allocations under ``OWN_SEGMENT``, or page of the expandable one [B] (large_segment_size)."""
OWN_SEGMENT = 10 * MIB
"""From here on a new segment is as large as the allocation, rounded up to ``ROUND_LARGE`` [B] (kMinLargeAlloc)."""
ROUND_LARGE = 2 * MIB

_ADDRESSES = LARGE_SEGMENT << 30
"""Of an expandable segment: more than any card has, in whole pages [B]."""


class OutOfMemory(Exception):
    """The capacity is reached, and what the cache could give back was not enough."""


def segment_bytes(size: int) -> int:
    """The segment that an allocation of a rounded size asks of the device [B]."""
    if size <= SMALL:
        return SMALL_SEGMENT
    if size < OWN_SEGMENT:
        return LARGE_SEGMENT
    return -(-size // ROUND_LARGE) * ROUND_LARGE


class CachingAllocator:
    """The allocator of one device.

    Args:
        expandable: with ``expandable_segments:True``: one segment for each pool grows page by page.
        capacity: what the device can give [B]; None: any amount.
    """

    def __init__(self, expandable: bool = False, capacity: int | None = None) -> None:
        self.expandable = expandable
        self.capacity = capacity
        self.allocated_bytes = 0
        self.reserved_bytes = 0
        self.peak_allocated_bytes = 0
        self.peak_reserved_bytes = 0
        self.segments = 0
        """Segments held now; of expandable ones those that were started."""
        self._small = Pool(SMALL_SEGMENT, GRANULE)
        self._large = Pool(LARGE_SEGMENT, GRANULE if expandable else SMALL + GRANULE)
        self._next_address = 0

    def malloc(self, nbytes: int) -> Block:
        """A block of at least ``nbytes`` [B]. Raises OutOfMemory."""
        size = -(-nbytes // GRANULE) * GRANULE or GRANULE
        pool = self._small if size <= SMALL else self._large
        block = pool.take(size) or self._new(pool, size)
        if block.size - size >= pool.least_remainder:
            pool.add(cut(block, size))
        block.allocated = True
        self.allocated_bytes += block.size
        if self.allocated_bytes > self.peak_allocated_bytes:
            self.peak_allocated_bytes = self.allocated_bytes
        return block

    def free(self, block: Block) -> None:
        """Give a block back to the cache."""
        self.allocated_bytes -= block.size
        block.allocated = False
        join(block)
        block.pool.add(block)

    def empty_cache(self) -> None:
        """Give the device what it can take: segments that are free as a whole, or whole pages inside free blocks."""
        for pool in (self._large, self._small):
            for block in pool.blocks():
                if self.expandable:
                    self._unmap(pool, block)
                elif block.previous is None and block.next is None:
                    pool.remove(block)
                    self.reserved_bytes -= block.size
                    self.segments -= 1

    def _new(self, pool: Pool, size: int) -> Block:
        new = self._grow if self.expandable else self._segment
        block = new(pool, size)
        if block is None:
            self.empty_cache()
            block = new(pool, size)
        if block is None:
            raise OutOfMemory(f"{size:,} B do not fit: {self.reserved_bytes:,} B of {self.capacity:,} B are reserved")
        return block

    def _segment(self, pool: Pool, size: int) -> Block | None:
        nbytes = segment_bytes(size)
        if not self._reserve(nbytes):
            return None
        return self._addresses(pool, nbytes, mapped=True)

    def _addresses(self, pool: Pool, nbytes: int, mapped: bool) -> Block:
        block = Block(self._next_address, nbytes, pool, mapped)
        self._next_address += nbytes
        self.segments += 1
        return block

    def _grow(self, pool: Pool, size: int) -> Block | None:
        """Pages for the lowest addresses that are free and long enough. What was mapped stays where it runs out."""
        block = self._lowest(pool, size)
        if not block.mapped and not self._map(pool, block, size):
            return None
        while block.size < size:
            after = block.next
            assert after is not None  # _lowest looked ahead
            if not self._map(pool, after, size - block.size):
                return None
            block = after
        pool.remove(block)
        return block

    def _lowest(self, pool: Pool, size: int) -> Block:
        for unmapped in pool.unmapped:
            before = unmapped.previous
            first = before if before is not None and not before.allocated else unmapped
            room = 0
            block: Block | None = first
            while block is not None and not block.allocated and room < size:
                room += block.size
                block = block.next
            if room >= size:
                return first
        segment = self._addresses(pool, _ADDRESSES, mapped=False)
        pool.add_unmapped(segment)
        return segment

    def _map(self, pool: Pool, block: Block, nbytes: int) -> bool:
        """Put pages behind the first bytes of an unmapped block."""
        nbytes = -(-min(nbytes, block.size) // pool.page) * pool.page
        if not self._reserve(nbytes):
            return False
        pool.unmapped.remove(block)
        if nbytes < block.size:
            pool.add_unmapped(cut(block, nbytes))
        block.mapped = True
        join(block)
        pool.add(block)
        return True

    def _unmap(self, pool: Pool, block: Block) -> None:
        """Take the whole pages out of a free block."""
        before = -block.address % pool.page
        pages = (block.size - before) // pool.page
        if pages <= 0:
            return
        pool.remove(block)
        if before:
            first, block = block, cut(block, before)
            pool.add(first)
        if block.size > pages * pool.page:
            pool.add(cut(block, pages * pool.page))
        self.reserved_bytes -= block.size
        block.mapped = False
        join(block)
        pool.add_unmapped(block)

    def _reserve(self, nbytes: int) -> bool:
        if self.capacity is not None and self.reserved_bytes + nbytes > self.capacity:
            return False
        self.reserved_bytes += nbytes
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        return True


@dataclass(frozen=True, slots=True)
class Replay:
    """What a stream of allocations came to."""

    peak_allocated_bytes: int
    peak_reserved_bytes: int
    segments: int
    """Segments held at the end."""
    ran_out: bool
    """The capacity was reached, and the stream was not played further."""


def replay(events: Iterable[tuple[int, int]], expandable: bool = False, capacity: int | None = None) -> Replay:
    """Play a stream of allocations.

    Args:
        events: in order (number of a storage, its bytes) where it is allocated and (number, minus its bytes) where it is
            freed. A storage of 0 B takes nothing. What libraries take, as the workspaces of cuBLAS, is part of the
            stream.
        expandable: with ``expandable_segments:True``.
        capacity: what the device can give [B]; None: any amount.

    Raises:
        ValueError: a storage is allocated twice, or freed without being there.
    """
    allocator = CachingAllocator(expandable, capacity)
    blocks: dict[int, Block] = {}
    ran_out = False
    for storage, nbytes in events:
        if nbytes > 0:
            if storage in blocks:
                raise ValueError(f"storage {storage} is allocated twice")
            try:
                blocks[storage] = allocator.malloc(nbytes)
            except OutOfMemory:
                ran_out = True
                break
        elif nbytes < 0:
            if storage not in blocks:
                raise ValueError(f"storage {storage} is freed without being there")
            allocator.free(blocks.pop(storage))
    return Replay(allocator.peak_allocated_bytes, allocator.peak_reserved_bytes, allocator.segments, ran_out)
