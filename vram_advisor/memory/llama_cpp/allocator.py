"""Lays the tensors of a scheduled graph into one buffer per device.

A tensor takes the smallest hole that holds it, else the end; it is freed after its last reader; an operation that can
writes over a source that nothing else reads. Source: llama.cpp v0.5.0 ``ggml/src/ggml-alloc.c``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.node import IN_PLACE, Node
from vram_advisor.memory.llama_cpp.scheduler import Scheduled

ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor at the worst moment of a buffer."""

    label: str
    ne: tuple[int, int, int, int]
    type: str
    nbytes: int
    """What the buffer gives it, alignment included [B]."""


@dataclass(frozen=True, slots=True)
class Laid:
    """One compute buffer."""

    nbytes: int
    """Its size [B]."""
    held: tuple[Held, ...]
    """What lies in it when it is fullest."""

    @property
    def gaps(self) -> int:
        """Room between those tensors that nothing uses then [B]."""
        return self.nbytes - sum(h.nbytes for h in self.held)


class Buffer:
    """The free blocks of one device, sorted by offset; the last one has no end."""

    def __init__(self, device: bool) -> None:
        self.alignment = cuda.ALIGNMENT if device else cuda.HOST_ALIGNMENT
        self.device = device
        self.blocks: list[list[int]] = [[0, ENDLESS]]
        self.size = 0
        self.alive: dict[Node, int] = {}
        self.fullest: dict[Node, int] = {}

    def size_of(self, node: Node) -> int:
        """What a tensor takes [B]."""
        nbytes = cuda.device_bytes(node) if self.device else node.nbytes
        return -(-nbytes // self.alignment) * self.alignment

    def take(self, size: int) -> int:
        """An offset for so many bytes."""
        blocks = self.blocks
        best, fit = -1, ENDLESS
        for i in range(len(blocks) - 1):
            room = blocks[i][1]
            if size <= room <= fit:
                best, fit = i, room
        block = blocks[best]
        offset = block[0]
        block[0] += size
        block[1] -= size
        if block[1] == 0:
            del blocks[best]
        return offset

    def free(self, offset: int, size: int) -> None:
        """Give bytes back; neighbouring holes become one."""
        blocks = self.blocks
        for i, block in enumerate(blocks):
            if block[0] + block[1] == offset:
                block[1] += size
                if i < len(blocks) - 1 and block[0] + block[1] == blocks[i + 1][0]:
                    block[1] += blocks[i + 1][1]
                    del blocks[i + 1]
                return
            if offset + size == block[0]:
                block[0] = offset
                block[1] += size
                if i > 0 and blocks[i - 1][0] + blocks[i - 1][1] == offset:
                    blocks[i - 1][1] += block[1]
                    del blocks[i]
                return
        at = next((i for i, block in enumerate(blocks) if block[0] >= offset), len(blocks))
        blocks.insert(at, [offset, size])

    def note(self, end: int) -> None:
        """Remember what is alive if the buffer grew."""
        if end > self.size:
            self.size = end
            self.fullest = dict(self.alive)


def lay_out(scheduled: Scheduled, gpus: int) -> list[Laid]:
    """The compute buffer of each GPU, then that of the host."""
    buffers = [Buffer(True) for _ in range(gpus)] + [Buffer(False)]
    for leaf, backend in scheduled.leaves:
        place(buffers, leaf, backend)
    for node, backend in scheduled.nodes:
        if node.view_of is not None and node.op != "NONE":
            node.view_of.views += 1
        if node.is_input:
            place(buffers, node, backend)
        for source in node.sources:
            source.children += 1
            if source.is_input:
                place(buffers, source, backend)
    for node, backend in scheduled.nodes:
        for source in node.sources:
            if not source.allocated:
                place(buffers, source, backend)
        place(buffers, node, backend)
        for source in node.sources:
            release(buffers, source)
    return [Laid(b.size, tuple(Held(n.label, n.ne, n.type, size) for n, size in b.fullest.items())) for b in buffers]


def place(buffers: list[Buffer], node: Node, backend: int) -> None:
    """Give a tensor its room unless it has some."""
    if node.allocated or node.view_of is not None or node.place is not None:
        return
    node.allocated = True
    if node.op in IN_PLACE and reuse(buffers, node):
        return
    buffer = buffers[backend]
    size = buffer.size_of(node)
    node.home = backend
    node.offset = buffer.take(size)
    buffer.alive[node] = size
    buffer.note(node.offset + size)


def reuse(buffers: list[Buffer], node: Node) -> bool:
    """Write over a source that has no other reader."""
    for parent in node.sources:
        if not parent.allocated or parent.is_output or parent.children != 1 or parent.views:
            continue
        if not node.same_layout(parent):
            continue
        buffer = buffers[parent.home]
        had, needs = buffer.size_of(parent), buffer.size_of(node)
        node.home, node.offset = parent.home, parent.offset
        parent.allocated = False
        del buffer.alive[parent]
        buffer.alive[node] = needs
        if had > needs:
            buffer.free(node.offset + needs, had - needs)
        return True
    return False


def release(buffers: list[Buffer], node: Node) -> None:
    """One reader less."""
    node.children -= 1
    if node.children or node.views:
        return
    root = node.view_of
    if root is None:
        if node.allocated:
            drop(buffers, node)
        return
    root.views -= 1
    if not root.views and not root.children and root.allocated:
        drop(buffers, root)


def drop(buffers: list[Buffer], node: Node) -> None:
    """Free a tensor unless it is a result of the graph."""
    if node.is_output:
        return
    buffer = buffers[node.home]
    size = buffer.alive.pop(node)
    buffer.free(node.offset, size)
    node.allocated = False
