"""Real logs of llama.cpp: which rows determine a figure, and how well those are predicted."""

import pytest

from vram_advisor.accuracy.complete import missing
from vram_advisor.accuracy.ledger import read_ledger
from vram_advisor.accuracy.llama_cpp_rows import model_named
from vram_advisor.accuracy.score import Report, score_ledgers
from vram_advisor.sources.data_files import data_path

LEDGER = read_ledger(data_path("measurements/inference.csv"))
ROWS = {row["id"]: row for row in LEDGER.rows}


@pytest.fixture(scope="module")
def report() -> Report:
    return score_ledgers([LEDGER])


@pytest.mark.parametrize(
    ("id", "meter", "lacks"),
    [
        ("IT0126", "self", ()),
        ("IT0187", "self", ()),
        # a file whose type nobody names, with the weights in the log
        ("IT0174", "self", ()),
        # neither batch nor build
        ("IT0183", "self", ("ubatch", "runtime_version", "flash_attention")),
        ("IT0156", "self", ("runtime_version", "flash_attention")),
        # the cache of a sliding window grows with the batch, that of full attention does not
        ("IT0178", "cache_gpu", ("ubatch",)),
        ("IT0183", "cache_gpu", ()),
        ("IT0162", "cache_gpu", ("context_length",)),
        # half of the cache is on the host, and nobody says how many layers
        ("IT0175", "compute_gpu", ("gpu_layers",)),
    ],
)
def test_what_a_row_lacks_is_a_rule_over_its_cells(id: str, meter: str, lacks: tuple[str, ...]) -> None:
    assert missing(ROWS[id], model_named(ROWS[id]["model"]), meter) == lacks


def test_rows_that_lack_a_setting_are_scored_apart(report: Report) -> None:
    graded = {(s.id, s.meter): s.quality for s in report.scored}
    assert graded["IT0183", "self"] == graded["IT0178", "cache_gpu"] == "C"
    assert graded["IT0183", "cache_gpu"] == "B" and graded["IT0126", "self"] == "A"
    assert all(group.quality in ("A", "B", "C") for group in report.groups)


def test_caches_of_real_logs_are_exact(report: Report) -> None:
    errors = [s.error for s in report.scored if s.program == "llama.cpp logs" and s.meter == "cache_gpu"]
    complete = [
        s.error for s in report.scored
        if s.program == "llama.cpp logs" and s.meter == "cache_gpu" and s.quality != "C"
    ]  # fmt: skip
    assert len(complete) >= 60 and len(errors) - len(complete) <= 5
    # a sum over layers or GPUs of figures with two decimals
    assert max(complete) < 2e-4


def test_what_real_logs_count_as_their_own_is_within_a_percent(report: Report) -> None:
    found = {(p.program, p.meter): p.figures for p in report.programs}
    own = found["llama.cpp logs", "self"]
    assert own.rows >= 5 and own.median_abs_error <= 0.002 and own.p90_abs_error <= 0.01


def test_every_version_of_transformers_is_within_four_percent(report: Report) -> None:
    eras = [p for p in report.programs if p.program.startswith("transformers-")]
    assert {p.program for p in eras} == {"transformers-4.38", "transformers-4.46"}
    assert all(p.figures.median_abs_error <= 0.002 and p.figures.rows >= 50 for p in eras)
