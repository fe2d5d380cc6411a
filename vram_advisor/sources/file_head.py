"""The beginning of a file, fetched as far as it is asked for: a file on disk or one behind HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vram_advisor.sources.json_files import reason
from vram_advisor.units.errors import BadInput

Fetch = Callable[[int, int], bytes]
"""The bytes of a file from one place up to another; fewer only where the file ends."""

LONGEST_HEAD = 64 << 20
"""Where the header of a file has to end [B]: the largest ones, those of 262,144 tokens with merges, have 16 MiB."""
FIRST_OF_HUB = 1 << 20
"""What is fetched first over HTTP [B]; a small part of a header with a vocabulary, all of one without."""
FIRST_OF_FILE = 1 << 14
"""What is read first, and behind each gap, from a file on disk [B]."""


class FileHead:
    """A part of the beginning of one file: ``data`` is what was fetched, from ``start`` on.

    ``size`` is that of the whole file [B], ``where`` its name in messages. In a file at hand (``at_hand``: a disk, where
    going somewhere else costs nothing) what is passed over is not fetched.
    """

    def __init__(self, fetch: Fetch, size: int, where: str, first: int = FIRST_OF_HUB, at_hand: bool = False) -> None:
        self.fetch, self.size, self.where, self.first, self.at_hand = fetch, size, where, first, at_hand
        self.start = 0
        self.data = bytearray()

    def need(self, end: int) -> None:
        """Make sure that ``data`` reaches up to ``end``. Raises BadInput where the file or patience ends before."""
        have = self.start + len(self.data)
        if end <= have:
            return
        self.allow(end)
        until = min(max(end, self.start + self.first, 2 * have - self.start), self.size, LONGEST_HEAD)
        self.data += self.fetch(have, until)
        if self.start + len(self.data) < end:
            raise BadInput(f"{self.where} is cut off: it ends after {self.start + len(self.data):,} bytes")

    def rewind(self) -> None:
        """Begin again."""
        self.start = 0
        self.data = bytearray()

    def allow(self, end: int) -> None:
        """Whether a header may reach up to ``end``. Raises BadInput."""
        if end > self.size:
            raise BadInput(f"{self.where} is cut off: its header does not end within its {self.size:,} bytes")
        if end > LONGEST_HEAD:
            raise BadInput(f"{self.where} has a header of more than {LONGEST_HEAD:,} bytes, which no model has")

    def pass_over(self, end: int) -> None:
        """Go on at ``end``, without what is before it where the file is at hand. Raises BadInput as ``need``."""
        if not self.at_hand:
            self.need(end)
        elif end > self.start + len(self.data):
            self.allow(end)
            self.start = end
            self.data = bytearray()


@contextmanager
def head_of_file(path: Path) -> Iterator[FileHead]:
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

            yield FileHead(fetch, size, str(path), FIRST_OF_FILE, at_hand=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from None
