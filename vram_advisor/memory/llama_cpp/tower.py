"""A vision or audio tower (mmproj): its weights, and the graph of the image that llama-server reserves memory for.

A tower is a plain transformer, so its graph is fullest in a feed-forward layer: the widened tokens beside three times the
stream. That is exact for towers of Gemma 3, Idefics 3 and InternVL; others add rotations, windows or a wide projector,
which the interval allows for. Source: llama.cpp v0.5.0 ``tools/mtmd/clip.cpp`` (load_hparams, load_tensors, build_vit),
``tools/mtmd/models``.
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

QWEN_VL = frozenset(("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger"))
TOKENS = {
    **dict.fromkeys(QWEN_VL, (46 * 46, 4096)), "glm4v": (46 * 46, 4096), "pixtral": (256, 1024), "kimivl": (256, 1024),
    "lightonocr": (256, 1024), "gemma4v": (256, 1120), "lfm2": (256, 256), "minimax_m3": (256, 576), "phi4": (256, 256),
}  # fmt: skip
"""Kinds that take images of any size: tokens of the image that memory is reserved for, and of the largest."""
MERGES = {**dict.fromkeys(QWEN_VL, 2), "glm4v": 2, "gemma4v": 3, "lfm2": 2, "minimax_m3": 2}
"""Patches along one side of a token where the file does not say it."""
WINDOWED = "qwen2.5vl_merger"
"""Its layers with a window have a mask of all pairs of patches, in 32 bits and again in 16."""
STREAMS = 3
"""Copies of the stream of tokens that are alive with the widened ones."""
SPREAD, OTHER = 0.15, 16 * MIB
"""Standard deviation of the graph of an image: a share of it, and what a projector may add [B]."""
UNKNOWN, UNKNOWN_SD = 256 * MIB, 160.0 * MIB
"""The same where the file has no numbers, as that of an audio tower [B]."""


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
    reserved = patches(projector)
    compute, sd = UNKNOWN, UNKNOWN_SD
    if reserved is not None:
        compute = graph_bytes(projector, reserved)
        sd = SPREAD * compute + OTHER
    where = "system memory" if place == HOST else "the first GPU"
    said = f"The tower of --mmproj takes {gib(held)} of {where}, and about {gib(compute)} for an image, an estimate"
    most = largest(projector)
    if reserved is not None and most > reserved:
        said += (
            f"; llama-server reserves that at start, and the largest image takes {gib(graph_bytes(projector, most))}"
        )
    return Tower(projector.name, place, held, compute, sd, f"{said}.")


def patches(projector: Projector) -> int | None:
    """Patches of the image that memory is reserved for; None: the file has not the numbers."""
    if not projector.hidden_size or not projector.intermediate_size:
        return None
    if projector.kind in TOKENS:
        return TOKENS[projector.kind][0] * merge(projector) ** 2
    if not projector.image_size or not projector.patch_size:
        return None
    return (projector.image_size // projector.patch_size) ** 2


def largest(projector: Projector) -> int:
    """Patches of the largest image of a tower that takes any size; 0: it has one size."""
    return TOKENS[projector.kind][1] * merge(projector) ** 2 if projector.kind in TOKENS else 0


def merge(projector: Projector) -> int:
    """Patches along one side of a token."""
    return projector.merge or MERGES.get(projector.kind, 1)


def graph_bytes(projector: Projector, count: int) -> int:
    """The compute buffer of an image of so many patches [B]."""
    assert projector.hidden_size and projector.intermediate_size
    wide = projector.intermediate_size * (2 if gated(projector) else 1)
    nbytes = 4 * count * (wide + STREAMS * projector.hidden_size)
    return nbytes + (6 * count**2 if projector.kind == WINDOWED else 0)


def gated(projector: Projector) -> bool:
    """Whether a feed-forward layer has a gate."""
    return any(".ffn_gate." in tensor.name for tensor in projector.tensors)


def tower_components(tower: Tower) -> list[Component]:
    """Weights and the graph of an image."""
    at = values(0, 0)
    held = (Amount("tensors of the file", "one", tower.weights, 1, "weights"),)
    graph = (Amount("one image at its fullest, estimated", "one", tower.compute, 1, "compute"),)
    source = "llama.cpp v0.5.0 tools/mtmd/clip.cpp"
    return [
        Component("projector", "tower of --mmproj: weights", tower.weights, held, at, ALL, source),
        Component("projector", "tower of --mmproj: one image", tower.compute, graph, at, ALL, source, tower.compute_sd),
    ]
