"""A trace as the estimate of an answer."""

from dataclasses import replace

import pytest

from vram_advisor import api
from vram_advisor.calibration.traced_estimate import traced_estimate
from vram_advisor.domain.calibration import Learnt, corrected
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.trace import Trace, TracedPhase
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.units.bytes import GIB
from vram_advisor.units.errors import BadInput

STAYS = {"weights": 4 * GIB, "adapters": GIB // 8, "optimizer": GIB // 4}


def phase(name: str, **parts: int) -> TracedPhase:
    """A phase in which ``parts`` come beside what stays."""
    found = STAYS | parts
    return TracedPhase(name, sum(found.values()), found)


def made(*phases: TracedPhase) -> Trace:
    """A trace of these phases."""
    return Trace(phases, sum(STAYS.values()), None, (3, 4), "cuda", 5.0, GIB // 2, {"torch": "2.13.0"})


STEP = made(
    phase("forward", activations=GIB // 2, temporaries=GIB // 8),
    phase("loss_backward", activations=GIB // 2, logits=GIB),
    phase("backward_last", activations=GIB // 16, temporaries=GIB // 4),
    phase("optimizer_step", gradients=GIB // 8),
)
PLAN = Plan(loss="standard")
DEVICE = device_from_spec(find_gpu("rtx-5070"))


def test_components_sum_to_every_phase() -> None:
    estimate = traced_estimate(STEP, PLAN, None, DEVICE)
    for each in estimate.phases:
        assert sum(c.nbytes for c in estimate.components if each.phase in c.alive) == each.allocated_bytes


def test_what_no_trace_sees_is_added() -> None:
    estimate = traced_estimate(STEP, PLAN, None, DEVICE)
    workspaces = 2 * 8_519_680
    assert estimate.peak.phase == "loss_backward"
    assert estimate.peak.allocated_bytes.mid == STEP.peak.allocated_bytes + workspaces
    assert estimate.minimum_mean > estimate.peak.allocated_bytes.mid
    assert estimate.peak.process_bytes.mid > estimate.peak.reserved_bytes.mid > estimate.peak.allocated_bytes.mid


def with_simulation(scale: float, sd: float = 0.01) -> Coefficients:
    """What a calibration taught about the simulated allocator."""
    row = Learnt(name="simulation_scale", prior=1.0, prior_sd=0.07, value=scale, sd=sd)
    return corrected(NOMINAL, (row,), "these measurements")


def test_a_measured_simulation_says_what_is_reserved() -> None:
    """The factor on what the simulated allocator took, and workspaces, in place of the slack."""
    whole = replace(STEP, reserved_bytes=6 * GIB, depths=(32,))
    estimate = traced_estimate(whole, PLAN, None, DEVICE, with_simulation(1.05))
    reserved = estimate.peak.reserved_bytes
    assert reserved.mid == int(1.05 * 6 * GIB) + 2 * 8_519_680
    assert estimate.notes == (
        "Reserved memory is what a simulated caching allocator takes for the traced step, × 1.050 as measured.",
    )
    unsure = traced_estimate(whole, PLAN, None, DEVICE, with_simulation(1.05, 0.07)).peak.reserved_bytes
    assert unsure.high - unsure.low > 1.5 * (reserved.high - reserved.low)


def test_what_nobody_measured_stays_a_slack() -> None:
    """A simulated allocator that was not compared with the real one, or a trace of two depths, which has none."""
    whole = replace(STEP, reserved_bytes=6 * GIB, depths=(32,))
    slack = traced_estimate(STEP, PLAN, None, DEVICE)
    assert traced_estimate(whole, PLAN, None, DEVICE).peak == slack.peak
    assert traced_estimate(STEP, PLAN, None, DEVICE, with_simulation(1.05)).peak.reserved_bytes.mid == (
        slack.peak.reserved_bytes.mid
    )


def test_reserved_memory_never_exceeds_the_card() -> None:
    whole = replace(STEP, reserved_bytes=30 * GIB, depths=(32,))
    peak = traced_estimate(whole, PLAN, None, DEVICE, with_simulation(1.05)).peak
    assert peak.allocated_bytes.mid < peak.reserved_bytes.mid < DEVICE.total_bytes


def test_expandable_segments_leave_less_in_reserve() -> None:
    plain = traced_estimate(STEP, PLAN, None, DEVICE)
    expandable = traced_estimate(STEP, Plan(loss="standard", expandable_segments=True), None, DEVICE)
    assert expandable.peak.reserved_bytes.mid < plain.peak.reserved_bytes.mid


def test_only_a_fine_tune_is_traced() -> None:
    with pytest.raises(BadInput, match="no step to trace"):
        api.check("7b", gpu="rtx-5070", method="inference", trace=True)


@pytest.mark.trainers
def test_an_answer_by_trace_agrees_with_the_closed_form() -> None:
    asked = {"gpu": "rtx-5080", "workload": Workload(method="qlora", sequence_length=1536, micro_batch_size=2)}
    formula = api.check("llama-3.1-8b", quantization="q4", calibrated=False, **asked)
    traced = api.check("llama-3.1-8b", quantization="q4", calibrated=False, trace=True, **asked)
    (a,), (b,) = formula.options, traced.options
    assert b.estimate.peak.phase == a.estimate.peak.phase
    assert b.estimate.peak.allocated_bytes.mid == pytest.approx(a.estimate.peak.allocated_bytes.mid, rel=0.005)
    assert b.estimate.minimum_mean == pytest.approx(a.estimate.minimum_mean, rel=0.03)
    assert [phase.phase for phase in b.estimate.phases] == [phase.phase for phase in a.estimate.phases]
    assert b.verdict.outcome == a.verdict.outcome
