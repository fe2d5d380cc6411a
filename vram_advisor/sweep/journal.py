"""Estimates of models that are done, on disk beside the file that is written, so that a sweep can go on.

One file a model, put in place whole. The rows are made of them again when a sweep goes on: that takes a tenth of the
time of the estimates, and no row can be lost or stand twice.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vram_advisor import __version__
from vram_advisor.domain.sweep import Sweep
from vram_advisor.sweep.needs import Needs
from vram_advisor.units.errors import BadInput, Missing

ARRAYS = ("minimum", "spread", "reserved", "least", "share", "phase", "refusal")
QUESTION = "question.json"


class Journal:
    """The folder ``FILE.sweep`` beside the file."""

    def __init__(self, output: Path, sweep: Sweep) -> None:
        """Open the folder, or make it.

        Raises:
            BadInput: it belongs to another question.
            Missing: it cannot be written.
        """
        self.folder = folder_of(output)
        mark = {"program": __version__, "question": fingerprint(sweep)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / QUESTION
            if file.exists():
                if _read(file) != mark:
                    raise BadInput(
                        f"{self.folder} holds an unfinished sweep of another question or of another version: "
                        f"delete that folder, or name another --output."
                    )
            else:
                self._put(file, json.dumps(mark).encode())
        except OSError as error:
            raise Missing(f"{self.folder} cannot be written: {error.strerror or error}.") from None

    def read(self, number: int) -> Needs | None:
        """What was kept of a model; None where nothing was, or where the file is broken."""
        try:
            data = io.BytesIO(self._file(number).read_bytes())
            with np.load(data, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in ARRAYS}
                return Needs(**arrays, refusals=tuple(str(text) for text in kept["refusals"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def keep(self, number: int, needs: Needs) -> None:
        """Keep what was found of a model. Raises Missing where the disk is full."""
        data = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(needs, name) for name in ARRAYS}
        np.savez(data, **arrays, refusals=np.array(needs.refusals, dtype=np.str_))
        try:
            self._put(self._file(number), data.getvalue())
        except OSError as error:
            raise Missing(f"{self.folder} cannot be written: {error.strerror or error}.") from None

    def remove(self) -> None:
        """Forget it all: the sweep is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def tidy(output: Path) -> None:
        """Remove what is left beside a file that is whole."""
        if (folder_of(output) / QUESTION).exists():
            shutil.rmtree(folder_of(output), ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npz"

    def _put(self, file: Path, data: bytes) -> None:
        part = file.with_name(file.name + ".part")
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def folder_of(output: Path) -> Path:
    """Where the journal of a file lies."""
    return output.with_name(output.name + ".sweep")


def fingerprint(sweep: Sweep) -> str:
    """A digest of everything that the rows depend on."""
    # Records of frozen values print themselves field by field; the card's own record says what it is.
    text = repr((sweep.models, [(name, repr(device)) for name, device in sweep.cards], sweep.questions, sweep.columns))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None
