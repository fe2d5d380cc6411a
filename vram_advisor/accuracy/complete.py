"""What a row of a real log leaves out that decides its figures: such a row is scored beside the others, as quality C.

A setting that is not stated counts as known only where the build has one answer: flash attention is automatic since
September 2025, and a note says where a log shows it. The size of a batch has a default that people change, so it has to
be stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vram_advisor.domain.model import ModelSpec

Row = Mapping[str, str]

BUILD = re.compile(r"b?(\d{4,5})\b")
YEAR = re.compile(r"\b(2023|2024|2025|2026)\b|-(2023|2024|2025|2026)\b")
INCOMPLETE = "C"
"""Quality of a figure that the row does not determine."""


def has_age(row: Row) -> bool:
    """Whether the row says how old its build is: by number, date, or in words."""
    return bool(row["date"] or BUILD.match(row["runtime_version"]) or YEAR.search(row["runtime_version"]))


def states_attention(row: Row) -> bool:
    """Whether flash attention is known."""
    return bool(row["flash_attention"]) or "flash attention" in row["notes"]


def missing(row: Row, model: ModelSpec, meter: str) -> tuple[str, ...]:
    """Settings that decide a figure and are not stated; empty where the row determines it.

    Args:
        meter: cache_gpu, compute_gpu, weights_gpu, self or process.
    """
    windowed = any(block.attention and block.attention.sliding_window for block in model.blocks)
    lacks = []
    if meter != "weights_gpu" and not row["context_length"]:
        lacks.append("context_length")
    if row["cache_host_bytes"].strip("0") and not row["gpu_layers"]:
        lacks.append("gpu_layers")
    if meter in ("compute_gpu", "self", "process") or (meter == "cache_gpu" and windowed):
        if not row["ubatch"]:
            lacks.append("ubatch")
        if not has_age(row):
            lacks.append("runtime_version")
    if meter in ("compute_gpu", "self", "process") and not states_attention(row):
        lacks.append("flash_attention")
    return tuple(lacks)


def quality(row: Row, model: ModelSpec, meter: str) -> str:
    """Quality of one figure of a row."""
    return INCOMPLETE if missing(row, model, meter) else row["quality"]
