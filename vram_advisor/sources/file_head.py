"""The beginning of a file, fetched as far as it is asked for: a file on disk or one behind HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vram_advisor.sources.json_files import reason
from vram_advisor.units.errors import BadInput

Fetch = Callable[[int, int], bytes]
"""The bytes of a file from one place up to another; fewer only where the file ends."""

LONGEST_HEAD = 64 << 20
"""Most of one file that is read [B]: the largest headers, those of 262,144 tokens with merges, have 16 MiB."""
FIRST_OF_FILE = 1 << 20
"""What is fetched first [B]; a small part of a header with a vocabulary, all of one without."""


class FileHead:
    """The beginning of one file.

    ``size`` is that of the whole file [B], ``where`` its name in messages.
    """

    def __init__(self, fetch: Fetch, size: int, where: str, first: int = FIRST_OF_FILE) -> None:
        self.fetch, self.size, self.where, self.first = fetch, size, where, first
        self.data = bytearray()

    def need(self, end: int) -> None:
        """Make sure that ``data`` reaches up to ``end``. Raises BadInput where the file or patience ends before."""
        have = len(self.data)
        if end <= have:
            return
        if end > self.size:
            raise BadInput(f"{self.where} is cut off: its header does not end within its {self.size:,} bytes")
        if end > LONGEST_HEAD:
            raise BadInput(f"{self.where} has a header of more than {LONGEST_HEAD:,} bytes, which no model has")
        until = min(max(end, self.first, 2 * have), self.size, LONGEST_HEAD)
        more = self.fetch(have, until)
        self.data += more
        if len(self.data) < end:
            raise BadInput(f"{self.where} is cut off: it ends after {len(self.data):,} bytes")


@contextmanager
def head_of_file(path: Path, first: int = FIRST_OF_FILE) -> Iterator[FileHead]:
    """The beginning of a file on disk. Raises BadInput where it is no regular file or cannot be read."""
    try:
        # a pipe or a device has no size and may never end
        if not path.is_file():
            raise BadInput(f"{path} is not a file" if path.exists() else f"{path} is not there")
        with path.open("rb") as file:
            size = path.stat().st_size

            def fetch(begin: int, end: int) -> bytes:
                file.seek(begin)
                return file.read(end - begin)

            yield FileHead(fetch, size, str(path), first)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from None
