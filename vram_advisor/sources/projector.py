"""The vision or audio tower of a GGUF file (mmproj).

Keys: llama.cpp v0.5.0 ``tools/mtmd/clip-impl.h``.
"""

import os
from pathlib import Path

from vram_advisor.domain.projector import Projector
from vram_advisor.sources.gguf import GgufFile, read_gguf
from vram_advisor.units.errors import BadInput


def read_projector(path: str | Path) -> Projector:
    """The tower of a file. Raises BadInput."""
    file = read_gguf(Path(os.path.expanduser(path)))
    if not file.is_projector:
        raise BadInput(f"{file.name} is no vision or audio tower: --mmproj takes the file that is named mmproj")
    return projector_of(file)


def projector_of(file: GgufFile) -> Projector:
    """The tower that a header describes; of one that sees and hears the numbers of its eye."""
    hears = file.metadata.get("clip.has_audio_encoder") is True
    sees = file.metadata.get("clip.has_vision_encoder") is True or not hears
    kind = "vision" if sees else "audio"

    def number(key: str) -> int | None:
        return file.integer(f"clip.{kind}.{key}")

    return Projector(
        name=file.name,
        nbytes=sum(tensor.nbytes for tensor in file.tensors),
        kind=file.text(f"clip.{kind}.projector_type") or file.text("clip.projector_type") or "",
        hears=hears,
        hidden_size=number("embedding_length"),
        intermediate_size=number("feed_forward_length"),
        num_heads=number("attention.head_count"),
        image_size=number("image_size"),
        patch_size=number("patch_size"),
        merge=number("spatial_merge_size") or number("projector.scale_factor"),
        tensors=file.tensors,
    )
