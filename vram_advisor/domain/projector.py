"""A vision or audio tower beside a model (mmproj): a file of its own, with weights and a graph of its own."""

from dataclasses import dataclass, field

from vram_advisor.domain.stored_tensor import StoredTensor


@dataclass(frozen=True, slots=True)
class Projector:
    """The tower of one file, its numbers as its metadata name them."""

    name: str
    nbytes: int
    """Of its tensors in the file [B]; with the name it tells two towers apart."""
    kind: str = ""
    """``clip.projector_type``."""
    hears: bool = False
    """It has an encoder of audio."""
    hidden_size: int | None = None
    intermediate_size: int | None = None
    num_heads: int | None = None
    image_size: int | None = None
    """Side of the image that it was made for [pixels]."""
    patch_size: int | None = None
    """Side of one patch [pixels]."""
    merge: int | None = None
    """Patches along one side of what becomes one token."""
    tensors: tuple[StoredTensor, ...] = field(default=(), compare=False, repr=False)
    """Every tensor of the file; empty: only their bytes are known."""
