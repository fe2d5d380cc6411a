"""Sizes as programs count them and as people write them.

Bytes are integers. GiB is 2**30 bytes, GB is 10**9 bytes; no number is shown without saying which.
"""

import re

from vram_advisor.units.errors import BadInput

KIB = 2**10
MIB = 2**20
GIB = 2**30
MB = 10**6
GB = 10**9

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": MB,
    "gb": GB,
    "tb": 10**12,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": 2**40,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def gib(nbytes: float, digits: int = 2) -> str:
    """Bytes as text in GiB, or in MiB below a tenth of a GiB.

    >>> gib(3 * 2**30), gib(5 * 2**20)
    ('3.00 GiB', '5 MiB')
    """
    if abs(nbytes) < GIB / 10:
        return f"{nbytes / MIB:.0f} MiB"
    return f"{nbytes / GIB:.{digits}f} GiB"


def parse_size(text: str) -> int:
    """A size as people write it, in bytes.

    >>> parse_size("24 GiB"), parse_size("12GB"), parse_size("1048576")
    (25769803776, 12000000000, 1048576)

    Raises:
        BadInput: the text is not a number with a unit of bytes.
    """
    match = _SIZE.fullmatch(text)
    unit = match.group(2).lower() if match else None
    if match is None or unit not in _UNITS:
        raise BadInput(f"'{text}' is not a size: write a number and a unit, such as 24GiB or 12 GB.")
    return int(float(match.group(1)) * _UNITS[unit])
