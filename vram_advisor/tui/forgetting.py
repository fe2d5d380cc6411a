"""What is kept of widgets that are gone: by the library, by Python and by the C library."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

REST = 1.0
"""Seconds after a list has closed until its memory is given back; that of several goes together."""


def forget_lines() -> None:
    """Let the library let go of the lines of widgets that were removed.

    It keeps the colours of up to 1,024 drawings in a cache over a method. Its keys hold the drawings themselves, and so
    every line of lists and panels that were closed long ago: tens of MB after an hour. A present widget finds its
    colours again in microseconds.
    """
    # Private names: in a version without them there is nothing to let go of.
    with suppress(ImportError, AttributeError):
        from textual._styles_cache import StylesCache

        StylesCache.get_inner_outer.cache_clear()


def forget_gone_widgets() -> None:
    """Give back the memory of widgets that were removed.

    A closed screen is a knot of references to itself; the collector of cycles comes by itself only once a quarter more
    objects have piled up.
    """
    forget_lines()
    gc.collect()
    # Only glibc has this; every thread that worked in the background has a heap of its own, of which free pages stay.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
