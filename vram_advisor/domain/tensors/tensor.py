"""One tensor of a model."""

from dataclasses import dataclass
from math import prod

from vram_advisor.domain.model import Kind, Role


@dataclass(frozen=True, slots=True)
class Tensor:
    """One weight, with the number of layers that have it."""

    name: str
    """State-dict name; ``{layer}`` stands for the layer's index."""
    module: str
    """Last name of the module that holds it: what LoRA targets and quantization skips are matched with."""
    shape: tuple[int, ...]
    """Of one copy [elements]; linear weights are (out, in), expert stacks (num_experts, out, in)."""
    role: Role
    kind: Kind
    count: int = 1
    """Layers that have it."""
    block: int | None = None
    """Index in ``ModelSpec.blocks``; None outside the layers."""

    @property
    def numel(self) -> int:
        """Elements of all copies."""
        return prod(self.shape) * self.count
