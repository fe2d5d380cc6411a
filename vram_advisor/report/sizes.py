"""Bytes as a person reads them in a table: GiB, and smaller units only for what is too small to matter."""

from vram_advisor.units.bytes import GB, KIB, MB, MIB, gib

SAME = 0.02
"""Times that differ by less are called the same."""
TIMES = 1.5
"""From this factor on times are said as a factor."""


def size(nbytes: float) -> str:
    """GiB with two digits, MiB below a tenth of a GiB, KiB and B below a MiB.

    >>> size(3 * 2**30), size(5 * 2**20), size(8192), size(4)
    ('3.00 GiB', '5 MiB', '8 KiB', '4 B')
    """
    if abs(nbytes) >= MIB:
        return gib(nbytes)
    return f"{nbytes / KIB:.0f} KiB" if abs(nbytes) >= KIB else f"{nbytes:.0f} B"


def file_size(nbytes: int) -> str:
    """Size of a file: MiB up to a GiB, as people speak of adapters."""
    return gib(nbytes) if nbytes >= 2**30 else f"{nbytes / MIB:.0f} MiB"


def disk(nbytes: int) -> str:
    """Room on a disk, in the units that disks are sold by and hubs show.

    >>> disk(13_476_831_232), disk(267_000_000)
    ('13.5 GB', '267 MB')
    """
    return f"{nbytes / GB:.1f} GB" if nbytes >= GB else f"{nbytes / MB:.0f} MB"


def percent(share: float, digits: int = 0) -> str:
    """A share of one as per cent."""
    return f"{100 * share:.{digits}f} %"


def time_beside(relative: float) -> str:
    """A time beside another, as people say it; empty where the two are the same.

    >>> time_beside(1.08), time_beside(0.82), time_beside(0.17), time_beside(1.01)
    ('about 8 % more time', 'about 18 % less time', 'about 5.9 times as fast', '')
    """
    if abs(relative - 1) < SAME:
        return ""
    if relative >= TIMES:
        return f"about {relative:.2g} times as long"
    if relative <= 1 / TIMES:
        return f"about {1 / relative:.2g} times as fast"
    return f"about {percent(abs(relative - 1))} {'more' if relative > 1 else 'less'} time"
