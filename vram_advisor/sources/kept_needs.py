"""What earlier runs found out about GGUF files of this machine, kept in the user's cache: estimates, by file and card.

Every entry is under a key of all that decides it: the files (device, number, size, time of change), how they are run,
the card, this program. So nothing here can be out of date, and everything can be thrown away: a file that is damaged, or
cannot be written, is none.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path

from vram_advisor import __version__
from vram_advisor.domain.need import Need, Needs
from vram_advisor.sources.json_files import read_object
from vram_advisor.sources.user_data import cache_directory, write_whole
from vram_advisor.units.errors import AdvisorError

FILE = "local-models.json"
SCHEMA_VERSION = 1
MAX_BYTES = 8 << 20
MOST_ENTRIES = 2000
"""Those that were used last are kept."""
MOST_POINTS = 64
LARGEST = 1 << 60
"""No memory is larger [B]."""


class KeptNeeds:
    """Entries of the cache, read when made, written by ``save``."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.entries = dict(read(path)) if path is not None else {}
        self.changed = False
        self.program = program()

    def key(self, files: Sequence[Path], *how: object) -> str | None:
        """The key of files that are run in one way; None where a file cannot be seen."""
        try:
            states = [os.stat(path) for path in files]
        except OSError:
            return None
        seen = [(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns) for state in states]
        return hashlib.sha256(repr((self.program, seen, how)).encode()).hexdigest()

    def get(self, key: str | None) -> Needs | None:
        """What is known; None where nothing is."""
        if key not in self.entries or key is None:
            return None
        # The order is that of use.
        self.entries[key] = self.entries.pop(key)
        return self.entries[key]

    def put(self, key: str | None, needs: Needs) -> None:
        """Keep what was found."""
        if key is not None and self.entries.get(key) != needs:
            self.entries.pop(key, None)
            self.entries[key] = needs
            self.changed = True

    def save(self) -> None:
        """Write the entries, the latest of them, where something is new; quietly not at all where that cannot be."""
        if self.path is None or not self.changed:
            return
        latest = list(self.entries.items())[-MOST_ENTRIES:]
        rows = {
            key: [needs.parameters, needs.most, [[p.context_length, p.mean, p.sd] for p in needs.points[-MOST_POINTS:]]]
            for key, needs in latest
        }
        document = {"schema_version": SCHEMA_VERSION, "kind": "needs of local models", "entries": rows}
        try:
            write_whole(self.path, json.dumps(document).encode())
        except AdvisorError:
            return
        self.changed = False


def kept_needs() -> KeptNeeds:
    """The cache of this user."""
    folder = cache_directory()
    return KeptNeeds(folder / FILE if folder is not None else None)


def program() -> str:
    """This program: its version, and when its newest source was changed, which a checkout does without a new version."""
    root = Path(__file__).parent.parent
    newest = 0
    folders = [root]
    try:
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir() and not entry.name.startswith("__"):
                        folders.append(Path(entry.path))
                    elif entry.name.endswith((".py", ".toml")):
                        newest = max(newest, entry.stat().st_mtime_ns)
    except OSError:
        pass
    return f"{__version__} {newest}"


def read(path: Path) -> Iterator[tuple[str, Needs]]:
    """Entries of a file, those that are whole."""
    try:
        document = read_object(path, MAX_BYTES)
    except AdvisorError:
        return
    entries = document.get("entries")
    if document.get("schema_version") != SCHEMA_VERSION or not isinstance(entries, dict):
        return
    for key, row in entries.items():
        needs = as_needs(row)
        if needs is not None:
            yield key, needs


def as_needs(row: object) -> Needs | None:
    """One entry; None where it is damaged."""
    match row:
        case [int(parameters), int(most), [*points]] if 0 <= parameters < LARGEST and 0 < most < LARGEST:
            found = [need for point in points if (need := as_need(point)) is not None]
            rising = all(a.context_length < b.context_length for a, b in pairwise(found))
            if len(found) == len(points) and rising:
                return Needs(parameters, most, tuple(found))
    return None


def as_need(point: object) -> Need | None:
    """One point; None where it is damaged."""
    match point:
        case [int(context), int() | float() as mean, int() | float() as sd]:
            if 0 < context < LARGEST and isfinite(mean) and isfinite(sd) and 0 <= mean < LARGEST and 0 <= sd < LARGEST:
                return Need(context, mean, sd)
    return None
