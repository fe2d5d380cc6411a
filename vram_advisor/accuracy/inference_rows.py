"""Rows of a ledger of inference runs, as the runs that they could mean."""

from __future__ import annotations

from collections.abc import Mapping

from vram_advisor.accuracy.case import Case, Refusal

Row = Mapping[str, str]


def cases(row: Row) -> list[Case] | Refusal:
    """The runs that a row could mean, with weights that sum to one, or why it is refused."""
    return Refusal(row["id"], "inference rows are not modelled yet")
