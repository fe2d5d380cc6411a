"""Records the compute graph of one batch, operation by operation, as ggml builds it.

Shapes follow ``ggml/src/ggml.c``; the order of the nodes follows ``ggml_build_forward_expand``: the sources of a node in
turn, then the node.
"""

from __future__ import annotations

from math import prod

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.memory.llama_cpp.node import Four, Node


def four(*ne: int) -> Four:
    """A shape of four dimensions."""
    a, b, c, d = (*ne, 1, 1, 1)[:4]
    return (a, b, c, d)


class Graph:
    """Nodes and leaves in the order in which they are computed."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.leaves: list[Node] = []
        self.pins: dict[Node, int] = {}
        """Nodes that are put on a device by hand."""

    def expand(self, node: Node) -> None:
        """Append a node after everything that it needs."""
        if node.seen:
            return
        node.seen = True
        for source in node.sources:
            if not source.seen:
                self.expand(source)
        (self.leaves if node.op == "NONE" else self.nodes).append(node)

    def input(self, label: str, type_name: str, *ne: int) -> Node:
        """A tensor that is filled before the graph runs."""
        node = Node(label, type_name, four(*ne))
        node.is_input = True
        return node

    def op(self, op: str, label: str, ne: Four, *sources: Node, type_name: str = "F32") -> Node:
        """An operation with a result of its own."""
        return Node(label, type_name, ne, op, sources)

    def like(self, op: str, label: str, a: Node, *others: Node) -> Node:
        """An operation whose result has the shape of its first source."""
        return Node(label, a.type, a.ne, op, (a, *others))

    def unary(self, label: str, a: Node) -> Node:
        """An activation."""
        return self.like("UNARY", label, a)

    def multiply(self, label: str, weight: Node, x: Node) -> Node:
        """A matrix product: (in, out) with (in, rows) gives (out, rows)."""
        return Node(label, "F32", (weight.ne[1], x.ne[1], x.ne[2], x.ne[3]), "MUL_MAT", (weight, x))

    def multiply_chosen(self, label: str, stack: Node, x: Node, ids: Node) -> Node:
        """The product with the chosen experts of a stack."""
        return Node(label, "F32", (stack.ne[1], ids.ne[0], x.ne[2], 1), "MUL_MAT_ID", (stack, x, ids))

    def rows(self, label: str, table: Node, ids: Node) -> Node:
        """Rows of a table."""
        result = "I32" if table.type == "I32" else "F32"
        return Node(label, result, (table.ne[0], ids.ne[0], ids.ne[1], ids.ne[2]), "GET_ROWS", (table, ids))

    def glu(self, label: str, a: Node, b: Node | None = None) -> Node:
        """A gated activation of two tensors, or of the two halves of one."""
        ne = a.ne if b is not None else (a.ne[0] // 2, *a.ne[1:])
        return Node(label, a.type, ne, "GLU", (a,) if b is None else (a, b))

    def concat(self, label: str, a: Node, b: Node, dim: int) -> Node:
        """Two tensors behind each other."""
        ne = list(a.ne)
        ne[dim] += b.ne[dim]
        return Node(label, a.type, four(*ne), "CONCAT", (a, b))

    def cont(self, label: str, a: Node, *ne: int) -> Node:
        """A copy without gaps."""
        return Node(label, a.type, four(*ne) if ne else a.ne, "CONT", (a,))

    def cast(self, label: str, a: Node, type_name: str) -> Node:
        """A copy in another type."""
        return Node(label, type_name, a.ne, "CPY", (a,))

    def reshape(self, a: Node, *ne: int) -> Node:
        """The same numbers in another shape."""
        assert prod(ne) == a.numel, (a.label, a.ne, ne)
        return Node(a.label, a.type, four(*ne), "RESHAPE", (a,), view_of=a)

    def view(self, a: Node, ne: tuple[int, ...], nb: tuple[int, ...] = ()) -> Node:
        """A part of a tensor; ``nb`` are the strides of the second dimension on [B]."""
        shape = four(*ne)
        row = GGML_TYPES[a.type]
        strides = [row.block_bytes]
        for i in range(1, 4):
            if i <= len(nb):
                strides.append(nb[i - 1])
            elif i == 1:
                strides.append(strides[0] * (shape[0] // row.block_size))
            else:
                strides.append(strides[i - 1] * shape[i - 1])
        return Node(a.label, a.type, shape, "VIEW", (a,), nb=four(*strides), view_of=a)

    def permute(self, a: Node, *axes: int) -> Node:
        """Dimensions in another order; ``axes[i]`` is where dimension i goes."""
        ne, nb = [0] * 4, [0] * 4
        for i, axis in enumerate(axes):
            ne[axis], nb[axis] = a.ne[i], a.nb[i]
        return Node(a.label, a.type, four(*ne), "PERMUTE", (a,), nb=four(*nb), view_of=a)

    def transpose(self, a: Node) -> Node:
        """The first two dimensions exchanged."""
        ne, nb = a.ne, a.nb
        return Node(
            a.label, a.type, (ne[1], ne[0], ne[2], ne[3]), "TRANSPOSE", (a,), nb=(nb[1], nb[0], nb[2], nb[3]), view_of=a
        )

    def into(self, op: str, target: Node, *sources: Node) -> Node:
        """An operation that writes into a tensor that exists."""
        return Node(target.label, target.type, target.ne, op, sources, nb=target.nb, view_of=target)

    def copy_into(self, a: Node, target: Node) -> Node:
        """A copy into a part of a cache."""
        return self.into("CPY", target, a, target)

    def top(self, label: str, a: Node, k: int) -> Node:
        """Indices of the k largest of each row."""
        order = Node(label, "I32", a.ne, "ARGSORT", (a,))
        return self.view(order, (k, *a.ne[1:]), order.nb[1:])
