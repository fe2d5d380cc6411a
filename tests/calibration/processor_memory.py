"""What the allocator of the processor really did, as the profiler of torch records it."""

import warnings
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def allocations(work: Callable[[], None]) -> list[int]:
    """Bytes of every allocation (positive) and free (negative) of some work, in order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    return [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]


def peak(work: Callable[[], None]) -> int:
    """The most bytes that some work held beyond what was there before it."""
    now = most = 0
    for nbytes in allocations(work):
        now += nbytes
        most = max(most, now)
    return most


def tensor_bytes(*groups: object) -> int:
    """Bytes of tensors, each storage once."""
    found = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for group in groups for t in group}  # type: ignore[attr-defined]
    return sum(found.values())
