"""The table of architectures and the road from a configuration to a ``ModelSpec``."""

from vram_advisor.domain.architectures.build import TOWER_NOTE, build
from vram_advisor.domain.architectures.table import ARCHITECTURES, REFUSED, WRAPPERS, architecture, names_of

__all__ = ["ARCHITECTURES", "REFUSED", "TOWER_NOTE", "WRAPPERS", "architecture", "build", "names_of"]
