"""What the library keeps of widgets that are gone."""

from __future__ import annotations

from contextlib import suppress


def forget_gone_widgets() -> None:
    """Let go of the lines of widgets that were removed.

    The library keeps the colours of up to 1,024 drawings in a cache over a method. Its keys hold the drawings themselves,
    and so every line of lists and panels that were closed long ago: tens of MB after an hour. A present widget finds
    its colours again in microseconds.
    """
    # Private names: in a version without them there is nothing to let go of.
    with suppress(ImportError, AttributeError):
        from textual._styles_cache import StylesCache

        StylesCache.get_inner_outer.cache_clear()
