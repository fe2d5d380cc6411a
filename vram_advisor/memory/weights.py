"""Bytes of the model's own weights: a fold over its list of tensors."""

from dataclasses import dataclass
from functools import lru_cache

from vram_advisor.domain.model import ModelSpec
from vram_advisor.domain.quantization import ITEMSIZE, Quantization
from vram_advisor.domain.tensors import Tensor, tensors

QUANTISED_ROLES = frozenset({"attention", "mlp", "shared_expert", "state", "expert", "router"})
"""Roles whose linear layers a quantizer replaces; output layer and embeddings are left alone
(transformers ``quantizers/base.py`` get_modules_to_not_convert)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WeightBytes:
    """Bytes of the weights [B], by what happens to them."""

    layers: int
    """Linear layers of the blocks, in the format of the base."""
    experts: int
    """Expert stacks."""
    embeddings: int
    """Embeddings and output layer."""
    rest: int
    """Norms, biases, routers, towers."""

    @property
    def total(self) -> int:
        """All of them [B]."""
        return self.layers + self.experts + self.embeddings + self.rest


def is_quantised(tensor: Tensor, fmt: Quantization, linear_experts: bool) -> bool:
    """Whether a quantizer stores the tensor in its own format."""
    if not fmt.is_quantised:
        return False
    if tensor.kind == "expert_stack":
        return fmt.expert_stacks or linear_experts
    if fmt.only_experts or tensor.kind != "linear" or tensor.role not in QUANTISED_ROLES:
        return False
    return tensor.role != "router" or linear_experts


def tensor_bytes(tensor: Tensor, fmt: Quantization, itemsize: int, linear_experts: bool) -> int:
    """Bytes of all copies of one tensor [B]; ``itemsize`` is that of what is not quantised."""
    if not is_quantised(tensor, fmt, linear_experts):
        return tensor.numel * itemsize
    *stack, out_features, in_features = tensor.shape
    copies = tensor.count * (stack[0] if stack else 1)
    return copies * fmt.weight_bytes(out_features, in_features)


@lru_cache(maxsize=1024)
def weight_bytes(
    model: ModelSpec,
    fmt: Quantization,
    kept_itemsize: int | None = None,
    linear_experts: bool = False,
    embedding_itemsize: int | None = None,
) -> WeightBytes:
    """Bytes of all weights under one storage format.

    Args:
        model: the model.
        fmt: how linear layers are stored.
        kept_itemsize: item size of what is not quantised [B]; None: that of the format.
        linear_experts: experts are ordinary linear layers (transformers 4), not stacks (transformers 5).
        embedding_itemsize: item size of embeddings and output layer [B]; None: as the rest.
    """
    itemsize = ITEMSIZE[fmt.kept_dtype] if kept_itemsize is None else kept_itemsize
    sums = {"layers": 0, "experts": 0, "embeddings": 0, "rest": 0}
    for tensor in tensors(model):
        table = tensor.role in ("embedding", "position", "head")
        own = embedding_itemsize if table and embedding_itemsize is not None else itemsize
        nbytes = tensor_bytes(tensor, fmt, own, linear_experts)
        if tensor.kind == "expert_stack":
            sums["experts"] += nbytes
        elif tensor.kind == "linear" and tensor.role in QUANTISED_ROLES - {"router"}:
            sums["layers"] += nbytes
        elif table:
            sums["embeddings"] += nbytes
        else:
            sums["rest"] += nbytes
    return WeightBytes(**sums)
