"""A sweep from its first model to the whole file, or on from where an earlier run was stopped."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vram_advisor.calibration.lock import only_one
from vram_advisor.domain.sweep import Sweep, SweepProgress, Swept
from vram_advisor.sweep.journal import Journal
from vram_advisor.sweep.kinds import kinds
from vram_advisor.sweep.needs import Needs
from vram_advisor.sweep.rows import FORMATS, writer_for
from vram_advisor.sweep.verdicts import OUTCOMES, answers
from vram_advisor.sweep.workers import estimate_all
from vram_advisor.units.errors import BadInput, Missing


def run(
    sweep: Sweep, output: Path, hear: Callable[[SweepProgress], None] | None = None, processes: int | None = None
) -> Swept:
    """Answer every question and write the rows.

    The file appears when it is whole. What is stopped before, by whatever, goes on with the same call.

    Args:
        output: ``.parquet`` or ``.csv``; it must not be there yet.
        hear: called after each model.
        processes: that estimate; None: one a processor that this process may use.

    Raises:
        BadInput: the file is there, its name has another ending, another process writes it, or it was begun with
            another question.
        Missing: the file cannot be written, or a library is not installed.
    """
    kind = output.suffix.lower()
    if kind not in FORMATS:
        raise BadInput(f"--output {output.name}: should end in {' or '.join(FORMATS)}.")
    if output.exists():
        # What was killed between its last two moves is whole, and has not tidied up.
        Journal.tidy(output)
        raise BadInput(f"{output} is there already: name another file, or delete it.")
    began = time.monotonic()
    hear = hear or (lambda progress: None)
    journal = Journal(output, sweep)
    with only_one(journal.folder / "lock", "A sweep that writes this file"):
        kept = [number for number in range(len(sweep.models)) if journal.read(number) is not None]
        devices = [device for _, device in sweep.cards]
        found = kinds(sweep.questions, devices)
        part = output.with_name(output.name + ".part")
        try:
            writer = writer_for(kind, part, sweep)
        except OSError as error:
            raise Missing(f"{part} cannot be written: {error.strerror or error}.") from None
        missing = [number for number in range(len(sweep.models)) if number not in set(kept)]
        estimates = estimate_all(sweep, found, missing, processes or available())
        counted: Counter[str] = Counter()
        progress = SweepProgress(0, len(sweep.models), 0, len(kept), 0.0)
        try:
            for number, model in enumerate(sweep.models):
                needed = journal.read(number) if number in set(kept) else None
                if needed is None:
                    needed = _next(estimates, number, journal)
                made = answers(needed, sweep.questions, found, devices)
                writer.write(model, made, needed.refusals)
                for outcome, count in enumerate(np.bincount(made.outcome.ravel(), minlength=len(OUTCOMES)).tolist()):
                    counted[OUTCOMES[outcome]] += count
                rows = (number + 1) * len(devices) * len(sweep.questions)
                progress = SweepProgress(number + 1, len(sweep.models), rows, len(kept), time.monotonic() - began)
                hear(progress)
            writer.close()
            os.replace(part, output)
        except OSError as error:
            raise Missing(f"{output} cannot be written: {error.strerror or error}.") from None
        finally:
            estimates.close()
            writer.close()
            part.unlink(missing_ok=True)
    journal.remove()
    return Swept(str(output), sweep.rows, tuple(counted.items()), progress)


def _next(estimates: Iterator[tuple[int, Needs]], number: int, journal: Journal) -> Needs:
    found, needed = next(estimates)
    assert found == number
    journal.keep(number, needed)
    return needed


def available() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
