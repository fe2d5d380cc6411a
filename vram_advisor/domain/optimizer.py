"""What an optimizer keeps per trained parameter, and what a step needs beside it: one row per optimizer.

State appears in the first step, so a peak is that of a later one.
"""

from dataclasses import dataclass

from vram_advisor.domain.quantization import Evidence
from vram_advisor.units.errors import BadInput


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Optimizer:
    """State of one optimizer.

    ``buffers`` moments in the dtype of the parameter (or fp32 where ``state_fp32``); quantised where ``bits`` says so.
    """

    name: str
    title: str
    evidence: Evidence
    source: str
    buffers: int = 2
    state_fp32: bool = False
    bits: int = 0
    """Bits of one state element where states are quantised; 0: not quantised."""
    block: int = 256
    """State elements per fp32 scale of a quantised state."""
    overrides: bool = False
    """Its bits can be overridden tensor by tensor (bitsandbytes GlobalOptimManager)."""
    minimum_numel: int = 0
    """Tensors with fewer elements keep fp32 states."""
    paged_numel: int = 0
    """Tensors with at least this many elements keep their state in pageable memory; 0: never."""
    copies: float = 0.0
    """Temporaries of a step, in copies of all trained parameters."""
    largest_copies: float = 0.0
    """Temporaries of a step, in copies of the largest trained tensor."""
    largest_fp32_copies: float = 0.0
    """The same in fp32."""
    largest_upcast_copies: float = 0.0
    """Further fp32 copies of the largest tensor where it is stored in 16 bit."""
    factored: bool = False
    """Row and column sums instead of a full second moment (Adafactor)."""
    low_rank: int = 0
    """Rank of the projection of matrices (GaLore, APOLLO); 0: none."""
    projector: bool = False
    """A projection matrix is stored (GaLore)."""
    matrices_only: bool = False
    """The row holds for matrices; other tensors take AdamW (Muon)."""
    in_backward: bool = False
    """The step runs inside the backward pass: gradients are never all alive."""


_TORCH = "torch optim/adamw.py"
_BNB = "bitsandbytes optim/optimizer.py: states < 4096 elements fp32, block 256"
_ROWS = (
    Optimizer("adamw_torch", "AdamW, foreach", "measured", f"{_TORCH} _multi_tensor_adamw: sqrt of all second moments", copies=1),
    Optimizer("adamw_torch_fused", "AdamW, fused", "measured", f"{_TORCH} _fused_adamw: in place"),
    Optimizer("adamw_torch_for_loop", "AdamW, one tensor at a time", "traced", f"{_TORCH} _single_tensor_adamw", largest_copies=2),
    Optimizer("adamw_hf", "AdamW of transformers 4", "measured", "transformers 4 optimization.py AdamW: one tensor at a time", largest_copies=2),
    Optimizer("adamw_bnb_32bit", "AdamW of bitsandbytes", "read in source", _BNB, state_fp32=True),
    Optimizer("adamw_bnb_8bit", "8-bit AdamW", "traced", _BNB, bits=8, overrides=True, minimum_numel=4096),
    Optimizer("paged_adamw_32bit", "paged AdamW", "traced", _BNB, state_fp32=True, paged_numel=100_000),
    Optimizer("paged_adamw_8bit", "paged 8-bit AdamW", "traced", _BNB, bits=8, overrides=True, minimum_numel=4096, paged_numel=100_000),
    Optimizer("sgd", "SGD", "traced", "torch optim/sgd.py", buffers=0),
    Optimizer("sgd_momentum", "SGD with momentum", "read in source", "torch optim/sgd.py: momentum buffer", buffers=1),
    Optimizer(
        "adafactor", "Adafactor, no first moment", "measured",
        "transformers optimization.py Adafactor: update in fp32, one tensor at a time", factored=True, state_fp32=True,
        largest_fp32_copies=2, largest_upcast_copies=2,
    ),
    Optimizer("lion_32bit", "Lion", "read in source", "bitsandbytes optim/lion.py: one state", buffers=1, state_fp32=True),
    Optimizer("lion_8bit", "8-bit Lion", "read in source", "bitsandbytes optim/lion.py", buffers=1, bits=8, overrides=True, minimum_numel=4096),
    Optimizer("paged_lion_8bit", "paged 8-bit Lion", "read in source", "bitsandbytes optim/lion.py", buffers=1, bits=8,
              overrides=True, minimum_numel=4096, paged_numel=100_000),
    Optimizer("muon", "Muon, AdamW for vectors", "read in source", "torch optim/_muon.py: momentum; Newton-Schulz in bf16",
              buffers=1, largest_copies=4, matrices_only=True),
    Optimizer("galore_adamw", "GaLore AdamW, rank 128", "read in source", "galore_torch adamw.py, galore_projector.py: SVD in fp32",
              low_rank=128, projector=True, largest_fp32_copies=3, largest_copies=1),
    Optimizer("galore_adamw_8bit", "GaLore 8-bit AdamW, rank 128", "read in source", "galore_torch adamw8bit.py", low_rank=128,
              projector=True, bits=8, minimum_numel=4096, largest_fp32_copies=3, largest_copies=1),
    Optimizer("galore_adamw_layerwise", "GaLore AdamW inside the backward pass", "read in source", "transformers trainer_optimizer.py",
              low_rank=128, projector=True, largest_fp32_copies=3, largest_copies=1, in_backward=True),
    Optimizer("apollo_adamw", "APOLLO, rank 256", "read in source", "apollo_torch apollo.py: random projection from a seed",
              low_rank=256, largest_copies=2),
    Optimizer("adam_mini", "Adam-mini", "read in source", "adam_mini adam_mini.py: one second moment per block", buffers=1, copies=1),
    Optimizer("adamw_torch_8bit", "8-bit AdamW of torchao", "read in source", "torchao optim/subclass_8bit.py", bits=8,
              minimum_numel=4096),
    Optimizer("adamw_torch_4bit", "4-bit AdamW of torchao", "read in source", "torchao optim/subclass_4bit.py", bits=4, block=128,
              minimum_numel=4096),
)  # fmt: skip

OPTIMIZERS: dict[str, Optimizer] = {row.name: row for row in _ROWS}


def optimizer(name: str) -> Optimizer:
    """The row of an optimizer.

    Raises:
        BadInput: no such optimizer.
    """
    row = OPTIMIZERS.get(name)
    if row is None:
        raise BadInput(f"--optimizer {name} is not known: use one of {', '.join(OPTIMIZERS)}.")
    return row
