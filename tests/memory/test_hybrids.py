"""Training of layers that keep a state of fixed size, against traces of what transformers runs without kernels."""

import statistics

import pytest

from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.ledger import read_ledger
from vram_advisor.accuracy.metrics import quantile
from vram_advisor.accuracy.training_rows import training_cases
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.timeline import estimate_training
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.sources.data_files import data_path
from vram_advisor.units.errors import NotModelled

ROWS = read_ledger(data_path("measurements/traces_hybrids.csv")).rows
WORKSPACES = 2 * 8_519_680
"""cuBLAS workspaces, which a trace does not see [B]."""
PHASES = {
    "fwd_head_bytes": "loss_forward",
    "bwd_head_bytes": "loss_backward",
    "bwd_first_bytes": "backward_first",
    "bwd_last_bytes": "backward_last",
    "optstep_bytes": "optimizer_step",
}


def estimated(row: object) -> Estimate:
    found = training_cases(row)  # type: ignore[arg-type]
    assert not isinstance(found, Refusal), found
    case = found[0]
    return estimate_training(case.model, case.workload, case.plan, case.recipe, case.device)


def phases(estimate: Estimate) -> dict[str, int]:
    return {p.phase: p.allocated_bytes - WORKSPACES for p in estimate.phases if p.phase in PHASES.values()}


def errors(held_out: bool) -> list[float]:
    rows = [row for row in ROWS if ("held out" in row["notes"]) == held_out]
    return [abs(max(phases(estimated(row)).values()) / int(row["measured_bytes"]) - 1) for row in rows]


@pytest.mark.parametrize(("held_out", "p90", "worst"), [(False, 0.005, 0.035), (True, 0.001, 0.003)])
def test_peaks_are_those_of_traces(held_out: bool, p90: float, worst: float) -> None:
    found = errors(held_out)
    assert len(found) >= 28
    assert statistics.median(found) <= 0.0001
    assert quantile(found, 0.9) <= p90
    assert max(found) <= worst


@pytest.mark.parametrize("column", PHASES)
def test_phases_are_those_of_traces(column: str) -> None:
    """``fwd_last``, ``bwd_first`` and ``bwd_last`` of this ledger are those of the last or first layer of either kind.

    DoRA is left out: its moment is up to 3 % too large in any architecture.
    """
    found = [
        abs(phases(estimated(row))[PHASES[column]] / int(row[column]) - 1) for row in ROWS if row["method"] != "dora"
    ]
    assert quantile(found, 0.9) <= 0.01
    assert max(found) <= 0.03


def run(model: str, **levers: object) -> Estimate:
    return estimate_training(find_model(model), Workload(method="lora"), Plan(**levers), recipe("transformers-peft"))  # type: ignore[arg-type]


def test_kernels_are_named_where_their_lack_is_counted() -> None:
    assert any("flash-linear-attention" in note for note in run("qwen3.5-4b").notes)
    assert not any("flash-linear-attention" in note for note in run("lfm2-1.2b").notes)


def test_adapters_of_attention_alone_spare_the_layers_in_front_of_it() -> None:
    """The first three layers of Qwen3.5 have no attention: nothing of them needs a gradient without checkpointing."""
    everywhere = run("qwen3.5-2b", gradient_checkpointing="none")
    attention = run("qwen3.5-2b", gradient_checkpointing="none", target_modules=("q_proj", "v_proj"))
    assert attention.peak.allocated_bytes.mid < 0.85 * everywhere.peak.allocated_bytes.mid


@pytest.mark.parametrize("model", ["granite-4.0-h-micro", "nemotron-nano-9b-v2", "mamba2-2.7b"])
def test_what_was_not_traced_is_refused(model: str) -> None:
    with pytest.raises(NotModelled, match="mamba2"):
        run(model)
