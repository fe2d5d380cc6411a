"""A process with all that it started, ended together."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

PATIENCE = 10.0
"""How long the kernel may take to end a killed process [s]; one that waits for a driver can take for ever."""


def end(process: subprocess.Popen[bytes], others: Iterable[psutil.Process] = ()) -> bool:
    """Kill a process, its group and its descendants, and wait until they are gone.

    Launchers give their workers sessions of their own, so the group alone is not all; and a worker whose launcher has
    died is nobody's descendant any more.

    Args:
        process: the root, leader of its group where there are groups.
        others: processes of the family that are known by other ways.

    Returns:
        Whether all are gone: a process that waits in a driver for hardware cannot be ended.
    """
    family = {*others, *_descendants(process)}
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    with suppress(OSError):
        process.kill()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    until = time.monotonic() + PATIENCE
    while family := {member for member in family if _lives(member)}:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _lives(process: psutil.Process) -> bool:
    """Whether it holds anything: an ended process that nobody has asked about yet does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All processes below this one, which is stopped so that it starts no more."""
    if process.returncode is not None:
        return []
    try:
        root = psutil.Process(process.pid)
        root.suspend()
        return list(root.children(recursive=True))
    except psutil.Error:
        return []
