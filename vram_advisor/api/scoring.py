"""The model against ledgers of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vram_advisor.accuracy.score import Report


def score(files: Sequence[str | Path] = ()) -> Report:
    """Score the model on ledgers of measurements; without files on the ones that come with the program.

    Raises:
        BadInput: a file is missing or has the columns of no ledger.
    """
    # Ledgers are not on the way of a check: their readers are imported when they are asked for.
    from vram_advisor.accuracy.ledger import read_ledger
    from vram_advisor.accuracy.score import score_ledgers
    from vram_advisor.sources.data_files import data_path

    paths = [Path(file) for file in files] or sorted(data_path("measurements").glob("*.csv"))
    return score_ledgers([read_ledger(path) for path in paths])
