"""How llama.cpp stores numbers: one row per tensor type of ggml.

A row of a tensor (its first dimension in ggml's order, the last in PyTorch's) is cut into blocks of a fixed number of
elements; a block holds the packed numbers and their scales. Sources: llama.cpp v0.5.0, ``ggml/include/ggml.h``
(numbers of the types), ``ggml/src/ggml-common.h`` (``block_*``: what one block holds).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GgmlType:
    """One tensor type."""

    name: str
    """As llama.cpp prints it in messages, in capitals."""
    id: int
    """Number in a file."""
    block_size: int
    """Elements of one block."""
    block_bytes: int
    """Bytes of one block [B]."""
    quantized: bool = True
    """Packed numbers with scales; False: plain numbers."""
    removed: bool = False
    """Found in old files; newer builds of llama.cpp refuse it."""

    @property
    def bits_per_weight(self) -> float:
        """Bits of one element, scales included."""
        return 8 * self.block_bytes / self.block_size

    def row_bytes(self, elements: int) -> int:
        """Bytes of a row of so many elements, a multiple of the block size [B]."""
        return elements // self.block_size * self.block_bytes


_ROWS = (
    GgmlType("F32", 0, 1, 4, quantized=False),
    GgmlType("F16", 1, 1, 2, quantized=False),
    GgmlType("Q4_0", 2, 32, 18),
    GgmlType("Q4_1", 3, 32, 20),
    GgmlType("Q5_0", 6, 32, 22),
    GgmlType("Q5_1", 7, 32, 24),
    GgmlType("Q8_0", 8, 32, 34),
    GgmlType("Q8_1", 9, 32, 36),
    GgmlType("Q2_K", 10, 256, 84),
    GgmlType("Q3_K", 11, 256, 110),
    GgmlType("Q4_K", 12, 256, 144),
    GgmlType("Q5_K", 13, 256, 176),
    GgmlType("Q6_K", 14, 256, 210),
    GgmlType("Q8_K", 15, 256, 292),
    GgmlType("IQ2_XXS", 16, 256, 66),
    GgmlType("IQ2_XS", 17, 256, 74),
    GgmlType("IQ3_XXS", 18, 256, 98),
    GgmlType("IQ1_S", 19, 256, 50),
    GgmlType("IQ4_NL", 20, 32, 18),
    GgmlType("IQ3_S", 21, 256, 110),
    GgmlType("IQ2_S", 22, 256, 82),
    GgmlType("IQ4_XS", 23, 256, 136),
    GgmlType("I8", 24, 1, 1, quantized=False),
    GgmlType("I16", 25, 1, 2, quantized=False),
    GgmlType("I32", 26, 1, 4, quantized=False),
    GgmlType("I64", 27, 1, 8, quantized=False),
    GgmlType("F64", 28, 1, 8, quantized=False),
    GgmlType("IQ1_M", 29, 256, 56),
    GgmlType("BF16", 30, 1, 2, quantized=False),
    GgmlType("Q4_0_4_4", 31, 32, 18, removed=True),
    GgmlType("Q4_0_4_8", 32, 32, 18, removed=True),
    GgmlType("Q4_0_8_8", 33, 32, 18, removed=True),
    GgmlType("TQ1_0", 34, 256, 54),
    GgmlType("TQ2_0", 35, 256, 66),
    GgmlType("IQ4_NL_4_4", 36, 32, 18, removed=True),
    GgmlType("IQ4_NL_4_8", 37, 32, 18, removed=True),
    GgmlType("IQ4_NL_8_8", 38, 32, 18, removed=True),
    GgmlType("MXFP4", 39, 32, 17),
    GgmlType("NVFP4", 40, 64, 36),
    GgmlType("Q1_0", 41, 128, 18),
    GgmlType("Q2_0", 42, 64, 18),
)

GGML_TYPES: dict[str, GgmlType] = {row.name: row for row in _ROWS}
"""Rows by name."""

GGML_TYPES_BY_ID: dict[int, GgmlType] = {row.id: row for row in _ROWS}
"""Rows by their number in a file."""
