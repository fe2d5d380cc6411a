"""What the memory model promises on measurements that are shipped with it."""

import random

import pytest

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.ledger import read_ledger, readings
from vram_advisor.accuracy.metrics import quantile
from vram_advisor.accuracy.score import Report, score_ledgers, score_row
from vram_advisor.accuracy.training_rows import training_cases
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.data_files import data_path

STEP_PHASES = {
    "forward": ("fwd_first_bytes", "fwd_last_bytes"),
    "loss_forward": ("fwd_head_bytes",),
    "loss_backward": ("bwd_head_bytes",),
    "backward_first": ("bwd_first_bytes",),
    "backward_last": ("bwd_last_bytes",),
    "clip": ("clip_bytes",),
    "optimizer_step": ("optstep_bytes",),
}
"""Columns of a traced phase."""


@pytest.fixture(scope="module")
def traces() -> Report:
    return score_ledgers([read_ledger(data_path("measurements/traces.csv"))])


@pytest.fixture(scope="module")
def training() -> Report:
    return score_ledgers([read_ledger(data_path("measurements/training.csv"))])


def test_no_trace_is_refused(traces: Report) -> None:
    assert not traces.refused
    assert len(traces.scored) == 650


def test_steps_of_llama_type_models_are_predicted_to_the_per_mille(traces: Report) -> None:
    ledger = {r["id"]: r for r in read_ledger(data_path("measurements/traces.csv")).rows}
    plain: list[float] = []
    others: list[float] = []
    for row in traces.scored:
        cells = ledger[row.id]
        flash = cells["attention"] == "flash_attention_2" and cells["padded"] != "yes" and "gemma" not in cells["model"]
        (plain if flash else others).append(row.error)
    assert quantile(plain, 0.5) <= 0.001
    assert quantile(plain, 0.9) <= 0.006
    assert max(plain) <= 0.02
    assert max(others) <= 0.05


def test_the_phase_that_is_named_is_the_peak() -> None:
    rows = [r for r in read_ledger(data_path("measurements/traces.csv")).rows if r["fwd_head_bytes"]]
    right = 0
    for row in rows:
        cases = training_cases(row)
        assert not isinstance(cases, Refusal)
        case = cases[0]
        value = estimate_training(case.model, case.workload, case.plan, case.recipe, case.device)
        named = max((p for p in value.phases if p.phase in STEP_PHASES), key=lambda p: p.allocated_bytes).phase
        traced = max((int(row[c]) for c in STEP_PHASES[named] if row[c]), default=0)
        right += traced >= 0.995 * int(row["measured_bytes"])
    assert len(rows) > 500
    assert right / len(rows) >= 0.97


def test_a_published_run_on_one_card_is_met(training: Report) -> None:
    errors = [r.error for r in training.scored if r.source == "rtx-5090-receipts" and r.meter == "allocated"]
    assert len(errors) == 9
    assert sum(errors) / 9 <= 0.003
    assert max(errors) <= 0.008


@pytest.mark.parametrize(
    ("meter", "median", "p90", "under"),
    [("allocated", 0.03, 0.10, 0.03), ("reserved", 0.10, 0.25, 0.10), ("process", 0.12, 0.28, 0.10)],
)
def test_fine_tunes_on_real_cards(training: Report, meter: str, median: float, p90: float, under: float) -> None:
    found = next(m.figures for m in training.macro if m.meter == meter)
    assert found.median_abs_error <= median
    assert found.p90_abs_error <= p90
    assert found.under_10 <= under
    assert 0.85 <= found.coverage_90 <= 0.95


def test_steps_traced_after_the_model_was_written() -> None:
    report = score_ledgers([read_ledger(data_path("measurements/traces_fresh.csv"))])
    errors = [row.error for row in report.scored]
    assert len(errors) > 480
    assert quantile(errors, 0.5) <= 0.001
    assert quantile(errors, 0.9) <= 0.01


def test_garbage_in_a_ledger_is_refused_row_by_row() -> None:
    ledger = read_ledger(data_path("measurements/training.csv"))
    generator = random.Random(7)
    for row in generator.sample(ledger.rows, 100):
        for column in ("model", "method", "quantization", "weights_dtype", "autocast", "adapter_dtype", "optimizer",
                       "target_modules", "gradient_checkpointing", "attention", "loss", "framework", "gpu", "sharding",
                       "notes"):  # fmt: skip
            changed = {c: row[c] for c in row} | {column: "nonsense"}
            cells = type(row)(changed)  # type: ignore[call-arg]
            result = score_row("training", cells, readings("training", cells), NOMINAL)
            assert isinstance(result, Refusal) or all(s.low <= s.mid <= s.high for s in result), (row["id"], column)
