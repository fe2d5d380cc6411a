"""Rows of a ledger of GGUF files: the size of a file that follows from model and file type."""

from __future__ import annotations

from collections.abc import Mapping

from vram_advisor.accuracy.case import Refusal
from vram_advisor.domain.estimate import Interval
from vram_advisor.domain.gguf_file import file_bytes, vocabulary_bytes
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.errors import AdvisorError

Row = Mapping[str, str]

IMATRIX = {"yes": True, "no": False}
"""Whether the source says that an importance matrix was used; else as files of the type are published."""


def file_size(row: Row) -> Interval | Refusal:
    """The size of the file that a row measured [B], or why it is refused; its vocabulary is the only estimate in it."""
    try:
        model = find_model(row["model"])
        size = file_bytes(model, row["file_type"], IMATRIX.get(row["imatrix"]))
    except AdvisorError as error:
        return Refusal(row["id"], str(error))
    vocabulary, share = vocabulary_bytes(model)
    spread = int(share * vocabulary)
    return Interval(size - spread, size, size + spread)
