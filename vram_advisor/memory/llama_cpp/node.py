"""One tensor of a compute graph: shape, strides, and what it is computed from or a view of."""

from __future__ import annotations

from vram_advisor.domain.ggml_types import GGML_TYPES

Four = tuple[int, int, int, int]
HOST = -1
"""Place of what lies in system memory; GPUs are counted from 0."""
VIEWS = frozenset(("VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"))
"""Operations that compute nothing."""
IN_PLACE = frozenset(
    ("FILL", "SCALE", "ADD", "ADD_ID", "SUB", "MUL", "DIV", "SQR", "SQRT", "LOG", "UNARY", "ROPE", "RMS_NORM", "CLAMP", "SOFT_MAX")
)  # fmt: skip
"""Operations that may write over a source that nothing else reads (ggml-alloc.c, ggml_op_can_inplace)."""


def contiguous(type_name: str, ne: Four) -> Four:
    """Strides of a tensor without gaps [B]."""
    row = GGML_TYPES[type_name]
    first = row.block_bytes
    second = first * (ne[0] // row.block_size)
    third = second * ne[1]
    return (first, second, third, third * ne[2])


class Node:
    """A tensor; ``ne`` are elements per dimension, innermost first, ``nb`` bytes from one index to the next [B]."""

    __slots__ = (
        "allocated", "backend", "children", "home", "is_input", "is_output", "label", "nb", "ne", "offset", "op",
        "place", "seen", "sources", "type", "view_of", "views", "weight",
    )  # fmt: skip

    def __init__(
        self,
        label: str,
        type_name: str,
        ne: Four,
        op: str = "NONE",
        sources: tuple[Node, ...] = (),
        nb: Four | None = None,
        view_of: Node | None = None,
    ) -> None:
        self.label = label
        self.type = type_name
        self.ne = ne
        self.nb = nb or contiguous(type_name, ne)
        self.op = op
        self.sources = sources
        self.view_of: Node | None = None if view_of is None else view_of.view_of or view_of
        self.place: int | None = None
        """Where a weight or a cache lies: HOST or a GPU; None: in the compute buffer."""
        self.weight = False
        self.is_input = False
        self.is_output = False
        self.seen = False
        self.backend: int | None = None
        self.home = 0
        """Backend whose buffer holds it."""
        self.children = 0
        self.views = 0
        self.allocated = False
        self.offset = 0

    @property
    def numel(self) -> int:
        """Elements."""
        a, b, c, d = self.ne
        return a * b * c * d

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last element [B]."""
        row = GGML_TYPES[self.type]
        ne, nb = self.ne, self.nb
        if min(ne) <= 0:
            return 0
        rest = (ne[1] - 1) * nb[1] + (ne[2] - 1) * nb[2] + (ne[3] - 1) * nb[3]
        if row.block_size == 1:
            return row.block_bytes + (ne[0] - 1) * nb[0] + rest
        return ne[0] * nb[0] // row.block_size + rest

    @property
    def outside(self) -> int | None:
        """Where it lies when that is not the compute buffer."""
        return self.place if self.view_of is None else self.view_of.place

    @property
    def is_contiguous(self) -> bool:
        """No gaps between elements."""
        expected = contiguous(self.type, self.ne)
        return all(n == 1 or have == want for n, have, want in zip(self.ne, self.nb, expected, strict=True))

    def same_layout(self, other: Node) -> bool:
        """Type, shape and strides are equal."""
        return self.type == other.type and self.ne == other.ne and self.nb == other.nb
