"""How weights are stored: one row per format.

The bytes of a weight of ``out_features x in_features`` (n elements) are counted from the fields of its row, in integers.
"""

from dataclasses import dataclass
from typing import Literal

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.domain.gguf_file_types import BASE, UNQUANTISED
from vram_advisor.units.errors import BadInput
from vram_advisor.units.grid import ceil_div

Evidence = Literal["traced", "measured", "read in source"]


@dataclass(frozen=True, slots=True)
class Quantization:
    """One storage format of weights."""

    name: str
    title: str
    bits: int
    """Bits of one packed weight."""
    evidence: Evidence
    source: str
    block: int = 0
    """Weights that share one scale; 0: none."""
    scale_bytes: int = 0
    """Bytes of one block's scale (and zero point where it is stored beside it)."""
    nested_block: int = 0
    """Scales that share one fp32 scale of their own (double quantization); the scales are then one byte each."""
    table_bytes: int = 0
    """Look-up tables and scalars kept with each tensor."""
    row_bytes: int = 0
    """Bytes per output feature."""
    column_bytes: int = 0
    """Bytes per input feature."""
    kernel: str = "none"
    """Which linear layer runs it: none (an ordinary one), bnb_4bit, bnb_8bit, gptq, fp8, mxfp4; gguf: llama.cpp."""
    kept_dtype: str = "bf16"
    """dtype of what is not quantised."""
    only_experts: bool = False
    trainable: bool = True
    """A LoRA can be trained on it with the recipes of this program."""
    expert_stacks: bool = False
    """Stacked 3-D expert weights are quantised too; otherwise only two-dimensional linear layers are."""

    def weight_bytes(self, out_features: int, in_features: int) -> int:
        """Bytes of one weight matrix [B]."""
        n = out_features * in_features
        total = (
            ceil_div(n * self.bits, 8)
            + self.table_bytes
            + self.row_bytes * out_features
            + self.column_bytes * in_features
        )
        if self.block:
            blocks = ceil_div(n, self.block)
            total += (
                blocks + 4 * ceil_div(blocks, self.nested_block) if self.nested_block else blocks * self.scale_bytes
            )
        return int(total)

    @property
    def is_quantised(self) -> bool:
        """Whether linear layers are stored in another form than the rest."""
        return self.kernel != "none"


def gguf(file_type: str) -> Quantization:
    """The row of a file type of llama.cpp. Its bytes are those of the base type; a mix has some tensors in other types,
    and ``gguf_file.gguf_tensors`` lists each."""
    base = GGML_TYPES[BASE[file_type]]
    bits = next(int(letter) for letter in base.name if letter.isdigit())
    return Quantization(
        file_type.lower(), f"GGUF {file_type}", bits, "read in source",
        "llama.cpp v0.5.0 src/llama-quant.cpp, ggml/src/ggml-common.h",
        block=base.block_size, scale_bytes=base.block_bytes - bits * base.block_size // 8, kernel="gguf",
        kept_dtype="fp16", trainable=False, expert_stacks=True,
    )  # fmt: skip


_BNB = "bitsandbytes functional.py quantize_4bit: block 64, absmax fp32; double quantization: absmax uint8, block 256"
_ROWS = (
    Quantization("fp32", "32-bit", 32, "traced", "torch.float32", kept_dtype="fp32"),
    Quantization("bf16", "bfloat16", 16, "traced", "torch.bfloat16"),
    Quantization("fp16", "float16", 16, "traced", "torch.float16", kept_dtype="fp16"),
    Quantization(
        "fp8", "8-bit float, one scale per 128 x 128 block", 8, "read in source",
        "transformers integrations/finegrained_fp8.py", block=16384, scale_bytes=4, kernel="fp8", trainable=False,
        expert_stacks=True,
    ),
    Quantization(
        "int8", "bitsandbytes LLM.int8()", 8, "read in source",
        "bitsandbytes nn/modules.py Linear8bitLt: int8 weights, one fp32 scale per output row", row_bytes=4,
        kernel="bnb_8bit",
    ),
    Quantization("nf4", "bitsandbytes NF4", 4, "traced", _BNB, block=64, scale_bytes=4, table_bytes=64, kernel="bnb_4bit"),
    Quantization(
        "nf4_double", "bitsandbytes NF4, double quantization", 4, "measured", _BNB,
        block=64, nested_block=256, table_bytes=4 * (16 + 256 + 1), kernel="bnb_4bit",
    ),
    Quantization("fp4", "bitsandbytes FP4", 4, "read in source", _BNB, block=64, scale_bytes=4, table_bytes=64, kernel="bnb_4bit"),
    Quantization(
        "fp4_double", "bitsandbytes FP4, double quantization", 4, "read in source", _BNB,
        block=64, nested_block=256, table_bytes=4 * (16 + 256 + 1), kernel="bnb_4bit",
    ),
    Quantization(
        "gptq_int4", "GPTQ 4 bit, groups of 128", 4, "measured",
        "gptqmodel nn_modules/qlinear: qweight, fp16 scales, packed zero points, int32 g_idx per input",
        block=256, scale_bytes=5, column_bytes=4, kernel="gptq", kept_dtype="fp16",
    ),
    Quantization(
        "gptq_int8", "GPTQ 8 bit, groups of 128", 8, "measured", "gptqmodel nn_modules/qlinear",
        block=128, scale_bytes=3, column_bytes=4, kernel="gptq", kept_dtype="fp16",
    ),
    Quantization(
        "awq_int4", "AWQ 4 bit, groups of 128", 4, "read in source", "autoawq gemm: as GPTQ without g_idx",
        block=256, scale_bytes=5, kernel="gptq", kept_dtype="fp16",
    ),
    Quantization(
        "hqq_int4", "HQQ 4 bit, groups of 64", 4, "read in source", "hqq core/quantize.py: fp16 scale and zero per group",
        block=64, scale_bytes=4, kernel="gptq",
    ),
    Quantization(
        "mxfp4", "MXFP4, experts only", 4, "read in source", "transformers integrations/mxfp4.py: one byte per 32 weights",
        block=32, scale_bytes=1, kernel="mxfp4", only_experts=True, trainable=False, expert_stacks=True,
    ),
    *(gguf(file_type) for file_type in BASE if file_type not in UNQUANTISED),
)  # fmt: skip

QUANTIZATIONS: dict[str, Quantization] = {row.name: row for row in _ROWS}

SHORT_NAMES = {"fp16": "bf16", "q8": "int8", "q4": "nf4_double", "none": "bf16", "4bit": "nf4_double", "8bit": "int8"}
"""What people type, for training and for inference under transformers."""


def quantization(name: str | None) -> Quantization:
    """The row of a format by its exact name; None: bf16.

    Raises:
        BadInput: no such format.
    """
    row = QUANTIZATIONS.get(name or "bf16")
    if row is None:
        raise BadInput(f"--quantization {name} is not known: use one of fp16, q8, q4, {', '.join(QUANTIZATIONS)}.")
    return row


ITEMSIZE = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}
"""Bytes of one element of a dtype [B]."""
