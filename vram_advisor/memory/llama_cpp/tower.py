"""A vision or audio tower (mmproj): its weights, and the graph of one image.

Source: llama.cpp v0.5.0 ``tools/mtmd/clip.cpp`` (load_tensors, warmup, build_vit).
"""

from __future__ import annotations

from dataclasses import dataclass

from vram_advisor.domain.amount import Amount
from vram_advisor.domain.estimate import Component
from vram_advisor.domain.projector import Projector
from vram_advisor.memory.llama_cpp.model_buffer import buffer_bytes
from vram_advisor.memory.llama_cpp.node import HOST
from vram_advisor.memory.llama_cpp.parts import ALL, values
from vram_advisor.units.bytes import MIB, gib


@dataclass(frozen=True, slots=True)
class Tower:
    """A tower in one place."""

    name: str
    place: int
    weights: int
    """Its tensors, alignment included [B]."""
    compute: int
    """The graph of one image [B]; an estimate."""
    compute_sd: float
    """Standard deviation of that [B]."""
    said: str

    @property
    def nbytes(self) -> int:
        """All of it [B]."""
        return self.weights + self.compute


def tower_of(projector: Projector, place: int) -> Tower:
    """A tower where llama.cpp loads it."""
    held = sum(buffer_bytes(tensor, place) for tensor in projector.tensors) or projector.nbytes
    compute, sd = 256 * MIB, 128.0 * MIB
    where = "system memory" if place == HOST else "the first GPU"
    said = (
        f"The tower of --mmproj takes {gib(held)} of {where} for its weights and about {gib(compute)} for an image: that "
        "is estimated, and several images at once need more."
    )
    return Tower(projector.name, place, held, compute, sd, said)


def tower_components(tower: Tower) -> list[Component]:
    """Weights and the graph of an image."""
    at = values(0, 0)
    held = (Amount("tensors of the file", "one", tower.weights, 1, "weights"),)
    graph = (Amount("one image at its fullest, estimated", "one", tower.compute, 1, "compute"),)
    source = "llama.cpp tools/mtmd/clip.cpp"
    return [
        Component("projector", "tower of --mmproj: weights", tower.weights, held, at, ALL, source),
        Component("projector", "tower of --mmproj: one image", tower.compute, graph, at, ALL, source, tower.compute_sd),
    ]
