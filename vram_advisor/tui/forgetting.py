"""What is kept of widgets that are gone and of models that were left: by libraries, by Python and by the C library."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Any

REST = 1.0
"""Seconds after a list has closed until its memory is given back; that of several goes together."""
ONE_HEAP = (-8, 1)
"""glibc ``malloc.h`` M_ARENA_MAX, and how many."""


def share_one_heap() -> None:
    """Let all threads allocate from one heap; otherwise each that works in the background has one that rarely shrinks."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(*ONE_HEAP)


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


def forget_places() -> None:
    """The same for where widgets were: rectangles of every size that the terminal has had."""
    with suppress(ImportError):
        from textual.css.scalar import Scalar
        from textual.geometry import Region

        for kept in (*vars(Region).values(), *vars(Scalar).values()):
            clear: Any = getattr(kept, "cache_clear", None)
            if clear is not None:
                clear()


def forget_gone_widgets() -> None:
    """Give back the memory of widgets that were removed, and of what was computed for them.

    A closed screen is a knot of references to itself; the collector of cycles comes by itself only once a quarter more
    objects have piled up.
    """
    from vram_advisor.memory.forgetting import forget_parts

    forget_lines()
    forget_places()
    forget_parts()
    gc.collect()
    # Only glibc has this.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
