"""The table of architectures and the road from a configuration to a ``ModelSpec``."""

from vram_advisor.domain.architectures.build import build
from vram_advisor.domain.architectures.table import ARCHITECTURES, REFUSED, WRAPPERS, architecture, names_of

__all__ = ["ARCHITECTURES", "REFUSED", "WRAPPERS", "architecture", "build", "names_of"]
