"""Bytes as a person reads them in a table: GiB, and smaller units only for what is too small to matter."""

from vram_advisor.units.bytes import GB, KIB, MB, MIB, gib


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
