"""Inference rows of the ledger: what they could mean, what is refused, how far off the estimates are."""

import statistics
from collections import defaultdict

import pytest

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.inference_rows import cases
from vram_advisor.accuracy.ledger import read_ledger
from vram_advisor.accuracy.llama_cpp_rows import GGUF_PROGRAMS
from vram_advisor.accuracy.score import score_ledgers
from vram_advisor.sources.data_files import data_path

LEDGER = read_ledger(data_path("measurements/inference.csv"))
ROWS = {row["id"]: row for row in LEDGER.rows if row["runtime"] not in GGUF_PROGRAMS}


def test_every_row_is_refused_or_means_something() -> None:
    for row in ROWS.values():
        found = cases(row)
        if isinstance(found, Refusal):
            assert found.id == row["id"]
            assert found.reason
        else:
            assert sum(case.weight for case in found) == pytest.approx(1)


def test_stated_cells_are_used() -> None:
    (case,) = cases(ROWS["IT0262"])  # type: ignore[misc]
    assert (case.workload.prompt_length, case.workload.context_length) == (6144, 8192)
    assert case.plan.attn_implementation == "flash_attention_2"
    assert case.recipe.name == "transformers-4.46"


def test_empty_cells_become_alternatives() -> None:
    found = cases(ROWS["IT0578"])
    assert not isinstance(found, Refusal)
    assert {case.plan.attn_implementation for case in found} == {"sdpa", "eager"}


def test_sums_over_gpus_are_compared_as_sums() -> None:
    found = cases(ROWS["IT0354"])
    assert not isinstance(found, Refusal)
    assert {case.sum_over for case in found} == {2}


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("IT0562", "cache of a model's own code"),
        ("IT0710", "4-bit"),
        ("IT0749", "host memory"),
        ("IT0599", "tensor parallelism"),
    ],
)
def test_refusals(id: str, words: str) -> None:
    found = cases(ROWS[id])
    assert isinstance(found, Refusal)
    assert words in found.reason


def test_errors_by_source() -> None:
    """Median and largest error of quality A rows with a meter."""
    report = score_ledgers([LEDGER])
    errors: dict[str, list[float]] = defaultdict(list)
    for row in report.scored:
        if row.quality == "A" and row.id in ROWS:
            errors[row.source].append(row.error)
    limits = {"qwen2.5-docs": (0.002, 0.03), "qwen2-docs": (0.001, 0.02), "litgpt-docs": (0.006, 0.01)}
    assert set(errors) == set(limits)
    for source, (middle, worst) in limits.items():
        assert statistics.median(errors[source]) < middle, source
        assert max(errors[source]) < worst, source


def test_intervals_hold_what_was_measured() -> None:
    scored = [row for row in score_ledgers([LEDGER]).scored if row.quality == "A" and row.id in ROWS]
    assert 0.85 < statistics.mean(row.covered for row in scored) <= 0.98
