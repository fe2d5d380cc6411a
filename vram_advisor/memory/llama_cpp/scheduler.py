"""Puts each operation on a device and cuts the graph into parts that run on one device.

Backends are counted as llama.cpp does: GPUs first, the processor last. What a part needs from another device is copied
to it at its start. Source: llama.cpp v0.5.0 ``ggml/src/ggml-backend.cpp``, ggml_backend_sched_split_graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vram_advisor.memory.llama_cpp import cuda
from vram_advisor.memory.llama_cpp.graph import Graph
from vram_advisor.memory.llama_cpp.node import HOST, VIEWS, Node

COPIES = 4
"""Copies of the inputs where several GPUs work on several batches at once (GGML_SCHED_MAX_COPIES)."""


@dataclass
class Part:
    """Consecutive operations of one device, and what has to be brought there first."""

    backend: int
    start: int
    stop: int = 0
    inputs: list[Node] = field(default_factory=list)


@dataclass
class Scheduled:
    """The graph with its copies, in the order in which the allocator walks it."""

    leaves: list[tuple[Node, int]]
    nodes: list[tuple[Node, int]]
    parts: list[Part]


class Scheduler:
    """The devices of a run and the rules by which operations are spread over them."""

    def __init__(self, gpus: int, op_offload: bool = True, copies: int = 1) -> None:
        self.gpus = gpus
        self.cpu = gpus
        self.op_offload = op_offload
        self.copies = copies

    def backend_of(self, place: int) -> int:
        """The backend whose memory a place is in."""
        return self.cpu if place == HOST else place

    def supports(self, backend: int, node: Node) -> bool:
        """Whether a backend runs an operation; a GPU reads no memory of another."""
        if backend == self.cpu:
            return True
        if self.gpus > 1:
            for source in node.sources:
                place = source.place
                if place is not None and place not in (HOST, backend):
                    return False
        return cuda.supports(node)

    def from_buffer(self, tensor: Node, node: Node) -> int | None:
        """The backend of a tensor that lies somewhere already, if it runs the operation."""
        place = tensor.outside
        if place is None:
            return None
        backend = self.backend_of(place)
        return backend if self.supports(backend, node) else None

    def first_choice(self, node: Node) -> int | None:
        """Where an operation belongs by what it reads or writes; None: open."""
        found = self.from_buffer(node, node)
        if found is not None:
            return found
        if node.is_input:
            return self.cpu
        if node.op in ("ROPE", "FLASH_ATTN_EXT"):
            return None
        for source in node.sources:
            if source.weight:
                found = self.from_buffer(source, node)
                if self.op_offload and found == self.cpu:
                    for gpu in range(self.gpus):
                        if self.supports(gpu, node) and cuda.worth_offloading(node):
                            return gpu
                return found
        return None

    def assign(self, graph: Graph) -> None:
        """Give every node a backend."""
        for node in (*graph.leaves, *graph.nodes):
            node.backend = graph.pins.get(node)
            if node.backend is None:
                node.backend = self.first_choice(node)
        work = [node for node in graph.nodes if node.op not in VIEWS]
        self.spread(work, gpus_only=True)
        self.spread(work[::-1], gpus_only=True)
        self.spread(work, gpus_only=False)
        self.spread(work[::-1], gpus_only=False)
        for node in work:
            if node.backend is None:
                node.backend = self.most_sources(node)
        for node in graph.nodes:
            if node.backend is None and node.view_of is not None:
                node.backend = node.view_of.backend
            for source in node.sources:
                if source.backend is None:
                    source.backend = source.view_of.backend if source.view_of is not None else node.backend
            if node.backend is None:
                node.backend = next(b for b in range(self.cpu + 1) if self.supports(b, node))

    def spread(self, work: list[Node], gpus_only: bool) -> None:
        """Operations without a backend take that of the one before."""
        current: int | None = None
        for node in work:
            if node.backend is not None:
                current = None if gpus_only and node.backend == self.cpu else node.backend
            elif current is not None and self.supports(current, node):
                node.backend = current

    def most_sources(self, node: Node) -> int:
        """The backend that has most of what an operation reads."""
        best, count = self.cpu, -1
        for backend in range(self.cpu + 1):
            if self.supports(backend, node):
                found = sum(self.reads(backend, source) for source in node.sources)
                if found > count:
                    best, count = backend, found
        return best

    def reads(self, backend: int, source: Node) -> bool:
        """Whether a backend can read a tensor where it is."""
        place = source.outside
        if place is not None:
            return self.backend_of(place) == backend
        owner = source.backend
        if owner is None and source.view_of is not None:
            owner = source.view_of.backend
        return owner == backend

    def schedule(self, graph: Graph) -> Scheduled:
        """Cut the graph into parts and list it with the copies that they need."""
        self.assign(graph)
        parts, copies, shared = self.cut(graph)
        nodes: list[tuple[Node, int]] = []
        for part in parts:
            for source in part.inputs:
                assert source.backend is not None
                kept = Node(source.label, source.type, source.ne, "NONE", (source,), nb=source.nb, view_of=source)
                nodes.append((kept, source.backend))
                nodes.append((copies[source, part.backend][0], part.backend))
            for node in graph.nodes[part.start : part.stop]:
                assert node.backend is not None
                nodes.append((node, node.backend))
        leaves: list[tuple[Node, int]] = []
        if self.copies > 1:
            for source in shared:
                assert source.backend is not None
                leaves += [(copy, source.backend) for copy in copies[source, source.backend]]
            for part in parts:
                for source in part.inputs:
                    leaves += [(copy, part.backend) for copy in copies[source, part.backend]]
        leaves += [(leaf, self.cpu if leaf.backend is None else leaf.backend) for leaf in graph.leaves]
        return Scheduled(leaves, nodes, parts)

    def cut(self, graph: Graph) -> tuple[list[Part], dict[tuple[Node, int], list[Node]], list[Node]]:
        """Parts, the copies of what they need, and the inputs that several batches have copies of."""
        copies: dict[tuple[Node, int], list[Node]] = {}
        shared: list[Node] = []
        first = next(node.backend for node in graph.nodes if node.op not in VIEWS)
        assert first is not None
        parts = [Part(first, 0)]
        for i, node in enumerate(graph.nodes):
            if node.op in VIEWS:
                continue
            assert node.backend is not None
            part = parts[-1]
            if node.backend != part.backend or (part.inputs and self.starts_part(node, part.backend)):
                part.stop = i
                part = Part(node.backend, i)
                parts.append(part)
            sources = list(node.sources)
            for j, source in enumerate(sources):
                owner = source.backend
                assert owner is not None
                if source.is_input and self.copies > 1 and (source, owner) not in copies:
                    copies[source, owner] = [source, *(duplicate(source, True) for _ in range(self.copies - 1))]
                    source.is_output = True
                    shared.append(source)
                if owner != part.backend and not self.reads(part.backend, source):
                    key = (source, part.backend)
                    if key not in copies:
                        copies[key] = [duplicate(source, self.copies > 1) for _ in range(self.copies)]
                        part.inputs.append(source)
                    sources[j] = copies[key][0]
            node.sources = tuple(sources)
        parts[-1].stop = len(graph.nodes)
        return parts, copies, shared

    def starts_part(self, node: Node, backend: int) -> bool:
        """A weight that has to be brought starts a new part, so that the room of the one before is free again."""
        return any(
            source.weight and source.backend != backend and not self.reads(backend, source) for source in node.sources
        )


def duplicate(source: Node, kept: bool) -> Node:
    """A copy of a tensor on another device; ``kept``: nothing may write over it."""
    copy = Node(source.label, source.type, source.ne, nb=source.nb)
    copy.is_input = copy.is_output = kept
    return copy
