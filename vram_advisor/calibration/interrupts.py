"""Ctrl-C held back for the moments in which it would leave something behind."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that this program answers and that arrive inside are answered at the end.

    Python runs handlers in the main thread only; in another one this does nothing. A handler, unlike an ignored or
    blocked signal, is not inherited by programs that are started inside.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    answered = [number for number in SIGNALS if callable(signal.getsignal(number))]
    before = [(number, signal.signal(number, note)) for number in answered]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


@contextmanager
def all_as_interrupt() -> Iterator[None]:
    """Inside, a request to end and a closed terminal interrupt like Ctrl-C does, so that the same is tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A signal that who started the program had it ignore, as nohup does, stays ignored.
    asked = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    before = [(number, signal.signal(number, interrupt)) for number in asked]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
