"""How several GPUs share weights, gradients and optimizer state, and what has to be whole for a moment.

Sources: torch ``distributed/fsdp`` (Zhao et al. 2023, arXiv 2304.11277), ``nn/parallel/distributed.py``; DeepSpeed
``runtime/zero`` (Rajbhandari et al. 2020, arXiv 1910.02054). Figures are those of one GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.plan import Plan
from vram_advisor.domain.quantization import Quantization
from vram_advisor.domain.tensors import tensors
from vram_advisor.memory.weights import tensor_bytes
from vram_advisor.units.grid import ceil_div


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Shares:
    """Into how many parts each thing is cut, and where it rests."""

    weights: int = 1
    gradients: int = 1
    optimizer: int = 1
    gathers: bool = False
    """Layers are gathered whole before they run."""
    buckets: bool = False
    """A copy of all gradients in communication buckets."""
    weights_on_host: bool = False
    optimizer_on_host: bool = False


def shares(plan: Plan) -> Shares:
    """The shares of a plan."""
    n = plan.num_gpus
    optimizer_on_host = plan.offload != "none"
    if n == 1 and plan.sharding in ("none", "ddp"):
        return Shares(optimizer_on_host=optimizer_on_host)
    table = {
        "none": Shares(),
        "ddp": Shares(buckets=True),
        "zero1": Shares(optimizer=n),
        "zero2": Shares(gradients=n, optimizer=n),
        "fsdp_grad_op": Shares(gradients=n, optimizer=n, weights=n, gathers=True),
        "fsdp_full": Shares(gradients=n, optimizer=n, weights=n, gathers=True),
        "zero3": Shares(gradients=n, optimizer=n, weights=n, gathers=True),
    }
    found = table[plan.sharding]
    return Shares(
        found.weights, found.gradients, found.optimizer, found.gathers, found.buckets,
        plan.offload == "parameters", optimizer_on_host,
    )  # fmt: skip


def part(nbytes: int, parts: int) -> int:
    """One GPU's share [B]."""
    return int(ceil_div(nbytes, parts))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Whole:
    """Bytes that a gathered piece of the model takes while it runs [B]."""

    layer: int
    """The largest layer."""
    root: int
    """Embeddings, output layer, final norm: gathered for the whole step."""


def gathered(model: ModelSpec, fmt: Quantization, itemsize: int, linear_experts: bool) -> Whole:
    """What is whole at one moment: weights in the dtype that computes."""
    layers: dict[int, int] = {}
    root = 0
    for tensor in tensors(model):
        nbytes = tensor_bytes(tensor, fmt, itemsize, linear_experts)
        if tensor.block is None:
            root += nbytes
        else:
            layers[tensor.block] = layers.get(tensor.block, 0) + nbytes // tensor.count
    return Whole(max(layers.values(), default=0), root)
