"""Processes that estimate one model after the other; they end when the one that started them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait as wait_for

from vram_advisor.domain.sweep import Sweep
from vram_advisor.sweep.kinds import Kinds, kinds
from vram_advisor.sweep.needs import Estimator, Needs

AHEAD = 3
"""Models that each process may be ahead of the rows that are written."""

_own: tuple[Sweep, Estimator] | None = None


def estimate_all(
    sweep: Sweep, found: Kinds, numbers: Sequence[int], processes: int
) -> Generator[tuple[int, Needs], None, None]:
    """What the models of these numbers need, in their order.

    Args:
        processes: how many work; with one nothing is started.
    """
    if processes == 1 or len(numbers) <= 1:
        estimator = Estimator(sweep.questions, found)
        for number in numbers:
            yield number, estimator.needs(sweep.models[number])
        return
    # A fresh interpreter: a fork would take along threads and locks of a terminal app.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(sweep,))
    waiting: list[tuple[int, Future[Needs]]] = []
    left = iter(numbers)
    try:
        for number in left:
            waiting.append((number, pool.submit(_needs, number)))
            if len(waiting) >= AHEAD * processes:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _first(waiting: list[tuple[int, Future[Needs]]]) -> tuple[int, Needs]:
    number, future = waiting.pop(0)
    return number, future.result()


def _begin(sweep: Sweep) -> None:
    global _own
    # Ctrl-C reaches the whole group: the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own = (sweep, Estimator(sweep.questions, kinds(sweep.questions, [device for _, device in sweep.cards])))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _needs(number: int) -> Needs:
    assert _own is not None
    sweep, estimator = _own
    return estimator.needs(sweep.models[number])
