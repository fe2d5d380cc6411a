"""Rows of a Parquet file, a few at a time. Needs pyarrow, which comes with Hugging Face's datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vram_advisor.units.errors import BadInput, Missing

MAGIC = b"PAR1"
ROWS = 256
"""Rows that are in memory at a time."""


def is_parquet(file: Path) -> bool:
    """By its first bytes; False where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class ParquetRows:
    """Rows as dictionaries, up to a number; afterwards the share of the file that they are."""

    def __init__(self, file: Path, most: int) -> None:
        self.file, self.most, self.share = file, most, 1.0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises BadInput where the file is damaged, Missing without pyarrow."""
        try:
            from pyarrow import ArrowException  # type: ignore[import-untyped,import-not-found,unused-ignore]
            from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise Missing(f"Reading {self.file} needs pyarrow: pip install pyarrow, or give JSON lines.") from None
        seen = 0
        try:
            with ParquetFile(self.file) as table:
                for batch in table.iter_batches(batch_size=ROWS):
                    for row in batch.to_pylist():
                        if seen == self.most:
                            self.share = seen / table.metadata.num_rows
                            return
                        seen += 1
                        yield row
        except (ArrowException, OSError) as error:
            raise BadInput(f"{self.file} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
