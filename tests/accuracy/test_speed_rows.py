"""What the model of speed promises on measurements that are shipped with it."""

from collections.abc import Callable

import pytest

from vram_advisor.accuracy.ledger import read_ledger
from vram_advisor.accuracy.metrics import Scored, figures
from vram_advisor.accuracy.score import Report, score_ledgers
from vram_advisor.sources.data_files import data_path


@pytest.fixture(scope="module")
def tokens() -> Report:
    return score_ledgers([read_ledger(data_path("measurements/throughput.csv"))])


def of(report: Report, keep: Callable[[Scored], bool]) -> list[Scored]:
    return [row for row in report.scored if keep(row)]


def test_every_row_that_can_be_meant_is_scored(tokens: Report) -> None:
    assert [(refusal.id, refusal.reason) for refusal in tokens.refused] == [
        ("TP0140", "an outlier that its source itself doubts"),
        ("TP0183", "an outlier that its source itself doubts"),
        ("TP0489", "generation with multi-token prediction is not modelled"),
    ]
    assert len(tokens.scored) == 353


def test_generation_is_predicted_to_a_tenth(tokens: Report) -> None:
    decoded = figures(of(tokens, lambda row: row.meter == "decode"))
    assert decoded.median_abs_error <= 0.08
    assert decoded.p90_abs_error <= 0.22
    assert 0.88 <= decoded.coverage_90 <= 0.98


def test_prompts_are_predicted_within_wide_intervals(tokens: Report) -> None:
    read = figures(of(tokens, lambda row: row.meter == "prefill"))
    assert read.median_abs_error <= 0.22
    assert 0.85 <= read.coverage_90 <= 0.97
    on_nvidia = figures(of(tokens, lambda row: row.meter == "prefill" and row.source == "gpu-benchmarks"))
    assert on_nvidia.median_abs_error <= 0.15
