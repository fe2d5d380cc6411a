"""Measured coefficients in the memory model: the explanation stays the computation, and what is not measured stays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.estimate import Estimate
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.grid import training_grid
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB, MIB

LLAMA = find_model("llama-3.1-8b")
CARD = Device("RTX 4090", 1, "detected", 24 * GIB, 24 * GIB, sm_count=128, compute_capability="8.9")


def learnt(**values: tuple[float, float]) -> Coefficients:
    """Coefficients with values and standard deviations that measurements taught."""
    changed = {
        name: replace(getattr(NOMINAL, name), value=value, sd=sd, reference="measured")
        for name, (value, sd) in values.items()
    }
    return replace(NOMINAL, **changed, learnt=frozenset(values), source="calibration")


def run(
    coefficients: Coefficients = NOMINAL, method: str = "lora", quantization: str = "bf16", stack: str = "trl"
) -> Estimate:
    workload, plan = Workload(method=method), Plan(quantization=quantization, recipe=stack)  # type: ignore[arg-type]
    return estimate(LLAMA, workload, plan, recipe(stack), CARD, coefficients).estimate


def phase_bytes(value: Estimate) -> dict[str, int]:
    return {p.phase: p.allocated_bytes for p in value.phases}


METHODS = [("lora", "bf16"), ("qlora", "nf4_double"), ("full", "bf16")]


@pytest.mark.parametrize(("method", "quantization"), METHODS)
@pytest.mark.parametrize("scale", [0.5, 0.97, 1.0, 1.000004, 1.032, 2.0])
def test_components_add_up_to_their_phase_at_any_scale(method: str, quantization: str, scale: float) -> None:
    value = run(learnt(activation_scale=(scale, 0.01)), method, quantization)
    for phase in value.phases:
        alive = [c for c in value.components if phase.phase in c.alive]
        assert sum(c.nbytes for c in alive) == phase.allocated_bytes, phase.phase
        assert sum(c.kind == "correction" for c in alive) <= 1
    for component in value.components:
        assert component.nbytes == sum(a.nbytes(component.values) for a in component.amounts)
        assert component.bytes.low <= component.bytes.mid <= component.bytes.high


def test_at_scale_one_nothing_changes() -> None:
    for method, quantization in METHODS:
        assert phase_bytes(run(learnt(), method, quantization)) == phase_bytes(run(NOMINAL, method, quantization))
    assert not [c for c in run(learnt(activation_scale=(1.0, 0.01))).components if c.kind == "correction"]


def test_the_correction_says_what_it_corrects() -> None:
    (first, *_) = [c for c in run(learnt(activation_scale=(1.032, 0.01))).components if c.kind == "correction"]
    assert first.label == "measured correction: +3.2 % of what grows with the tokens"
    assert "+3.2 % of" in first.formula
    (low, *_) = [c for c in run(learnt(activation_scale=(0.98, 0.01))).components if c.kind == "correction"]
    assert low.nbytes < 0 and "-2 %" in low.label


def test_weights_states_and_gradients_of_weights_are_not_scaled() -> None:
    """A full fine-tune: 13 of the 13.3 GiB beside what is resident at the end of the backward pass are gradients."""
    one, more = run(method="full"), run(learnt(activation_scale=(1.1, 0.01)), "full")
    before, after = phase_bytes(one), phase_bytes(more)
    for phase in ("load", "clip", "optimizer_step", "save"):
        assert after[phase] == before[phase]
    assert 0 < after["backward_last"] - before["backward_last"] < 0.1 * GIB
    assert after["forward"] > before["forward"]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.99), st.floats(0.5, 1.99))
def test_every_number_grows_with_its_scale(a: float, b: float) -> None:
    low, high = sorted((a, b))
    for name in ("activation_scale", "slack_scale", "slack_constant"):
        small, large = (run(learnt(**{name: (value, 0.01)})).peak for value in (low, high))
        assert small.allocated_bytes.mid <= large.allocated_bytes.mid
        assert small.reserved_bytes.mid <= large.reserved_bytes.mid
        assert small.process_bytes.mid <= large.process_bytes.mid
        assert small.minimum_bytes.mid <= large.minimum_bytes.mid


def test_reserved_is_never_below_allocated() -> None:
    peak = run(learnt(slack_scale=(0.1, 0.01), slack_constant=(0.0, 0.01))).peak
    assert peak.reserved_bytes.mid >= peak.allocated_bytes.mid


def test_a_grid_is_corrected_as_single_estimates_are() -> None:
    lengths = np.array([16, 100, 700, 3000])
    k = learnt(activation_scale=(1.0317, 0.01), cublas_workspace=(12 * MIB, MIB))
    plan, habits = Plan(quantization="bf16"), recipe("transformers-peft")
    for method in ("lora", "full"):
        grid = training_grid(LLAMA, Workload(method=method), plan, habits, 2, lengths, None, k)  # type: ignore[arg-type]
        for i, length in enumerate(lengths):
            asked = Workload(method=method, micro_batch_size=2, sequence_length=int(length))  # type: ignore[arg-type]
            alone = estimate(LLAMA, asked, plan, habits, None, k).estimate
            assert grid.peak[i] == max(p.allocated_bytes for p in alone.phases)


def width(value: Estimate, number: str) -> int:
    interval = getattr(value.peak, number)
    return int(interval.high - interval.low)


@pytest.mark.parametrize("stack", ["trl", "unsloth"])
def test_what_was_measured_narrows_the_interval(stack: str) -> None:
    k = learnt(
        activation_scale=(1.001, 0.004),
        slack_scale=(0.99, 0.1),
        slack_constant=(0.4, 0.05),
        context_base=(16.0, 8.0),
    )
    before, after = run(stack=stack), run(k, stack=stack)
    for number in ("allocated_bytes", "reserved_bytes", "process_bytes", "minimum_bytes"):
        assert width(after, number) < width(before, number), number


def test_the_slack_is_a_share_of_what_comes_and_goes_and_a_constant() -> None:
    """Reserved is allocated, a share of the humps of the step and a constant; each coefficient moves its own part."""
    nominal = run().peak
    slack = nominal.reserved_bytes.mid - nominal.allocated_bytes.mid
    growing = slack - NOMINAL.slack_constant.value * GIB
    twice = run(learnt(slack_scale=(1.5, 0.1))).peak
    assert twice.reserved_bytes.mid - nominal.reserved_bytes.mid == pytest.approx(growing / 2, abs=2)
    more = run(learnt(slack_constant=(0.64, 0.1))).peak
    assert more.reserved_bytes.mid - nominal.reserved_bytes.mid == pytest.approx(0.25 * GIB, abs=2)


def test_half_of_a_pair_that_was_learnt_leaves_the_spread_of_the_other() -> None:
    one = run(learnt(slack_scale=(1.0, 0.02)))
    both = run(learnt(slack_scale=(1.0, 0.02), slack_constant=(0.39, 0.02)))
    assert width(both, "reserved_bytes") < width(one, "reserved_bytes") <= width(run(), "reserved_bytes")


def test_a_correction_that_refutes_the_recipe_does_not_pretend_to_be_narrow() -> None:
    """A recipe known to 1 % that is measured 20 % off is not known to 1 % any more."""
    asked = ("qlora", "nf4_double", "transformers-peft")
    nominal, doubtful = run(NOMINAL, *asked), run(learnt(activation_scale=(1.2, 0.05)), *asked)
    assert width(doubtful, "allocated_bytes") > width(nominal, "allocated_bytes")


def test_coefficients_that_were_not_measured_keep_their_spread() -> None:
    nominal, k = run(), run(learnt(context_base=(5.0, 8.0)))
    for number in ("allocated_bytes", "reserved_bytes"):
        assert getattr(k.peak, number) == getattr(nominal.peak, number)
    assert k.peak.process_bytes.mid - nominal.peak.process_bytes.mid == -10 * MIB


def test_a_spread_of_the_workspaces_does_not_widen_what_was_not_measured() -> None:
    assert NOMINAL.cublas_workspace.sd > 0
    exact = replace(NOMINAL, cublas_workspace=replace(NOMINAL.cublas_workspace, sd=0.0))
    assert run(NOMINAL).peak == run(exact).peak
