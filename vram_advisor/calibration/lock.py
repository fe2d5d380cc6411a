"""One calibration at a time: two at once would measure each other.

The lock is the operating system's and ends with the process that holds it, however it ends: a file that a dead process
has left is not locked and is taken over.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vram_advisor.units.errors import BadInput, Missing

BYTE = 1 << 30
"""The byte of the file that is locked under Windows: far behind its text, which others may read."""


@contextmanager
def only_one(file: Path, what: str = "A calibration") -> Iterator[None]:
    """Hold the lock on a file while the block runs.

    Args:
        file: the same for all calibrations of a user; it is made where it is missing, and stays.
        what: what is running, for the sentence.

    Raises:
        BadInput: another process holds it; the sentence names it.
        Missing: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not inherited: a worker that outlives its parent must not keep the lock.
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise Missing(f"{file} cannot be written: {error.strerror or error}.") from None
    try:
        if not _locked(handle):
            holder = os.read(handle, 32).decode("ascii", "replace").strip()
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise BadInput(f"{what} is running already ({who}): wait for it to end, or end it.")
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
            # Closing alone would leave it to a worker that was just started and has not closed its copy yet.
            _unlock(handle)
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _locked(handle: int) -> bool:
        """Take the lock; False where another process holds it."""
        os.lseek(handle, BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

    def _unlock(handle: int) -> None:
        """Give the lock back."""
        os.lseek(handle, BYTE, os.SEEK_SET)
        with suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import errno
    import fcntl

    def _locked(handle: int) -> bool:
        """Take the lock; False where another process holds it."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; a calibration is not refused for that.
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
        return True

    def _unlock(handle: int) -> None:
        """Give the lock back."""
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
