"""Coefficients from measurements: the truth is found as often as the intervals say, and no single run misleads."""

from dataclasses import replace

import numpy as np
import pytest
from runs import CARD, HOPPER, PROCESSOR, closed_form, measured

from vram_advisor.calibration.fit import Fit, fit
from vram_advisor.calibration.posterior import moved
from vram_advisor.calibration.prediction import predicting
from vram_advisor.calibration.priors import FACTORS, backend_coefficients, priors
from vram_advisor.domain.calibration import BOUNDS, Learnt
from vram_advisor.domain.coefficients import NOMINAL, Coefficients
from vram_advisor.domain.trial import Environment, Measurement
from vram_advisor.units.bytes import GIB, MIB

BELIEFS = priors(CARD, NOMINAL)
NAMES = tuple(p.name for p in BELIEFS)
QUANTILES = {5: 9.236, 7: 12.017}
"""The 90 % quantile of chi-square by degrees of freedom."""


def drawn(rng: np.random.Generator, card: Environment = CARD) -> Coefficients:
    """A machine as the priors expect it."""
    base = backend_coefficients(card.backend)
    beliefs = priors(card, base)
    at = [min(max(p.mean + p.sd * rng.standard_normal(), p.low), p.high) for p in beliefs]
    return moved(base, zip(beliefs, at, strict=True))


def values(found: Fit) -> dict[str, Learnt]:
    return {row.name: row for row in found.learnt}


def holds(row: Learnt, truth: Coefficients) -> bool:
    """Whether the 90 % interval does."""
    return abs(row.value - getattr(truth, row.name).value) <= 1.645 * row.sd


def learn(*runs: Measurement) -> Fit:
    return fit(runs, closed_form)


def run(
    length: int, k: Coefficients = NOMINAL, rng: np.random.Generator | None = None, card: Environment = CARD
) -> Measurement:
    return measured(length, k, rng, card, closed_form)


@pytest.mark.parametrize("card", [CARD, PROCESSOR], ids=lambda card: card.backend)
def test_the_truth_is_inside_nine_of_ten_intervals(card: Environment) -> None:
    """500 machines drawn from the prior, two noisy runs on each: for every coefficient, and for all at once.

    On a processor the slack is that of a simulated allocator, and there is neither context nor workspace.
    """
    rng = np.random.default_rng(7)
    names = tuple(p.name for p in priors(card, backend_coefficients(card.backend)))
    inside, together = [], []
    for _ in range(500):
        truth = drawn(rng, card)
        found = learn(run(512, truth, rng, card), run(4096, truth, rng, card))
        assert tuple(row.name for row in found.learnt) == names
        inside.append([holds(row, truth) for row in found.learnt])
        off = [
            np.log(row.value / getattr(truth, row.name).value)
            if row.name in FACTORS
            else row.value - getattr(truth, row.name).value
            for row in found.learnt
        ]
        together.append(float(off @ np.linalg.solve(found.covariance, off)) <= QUANTILES[len(names)])
    for name, share in zip(names, np.mean(inside, axis=0), strict=True):
        assert 0.85 <= share <= 0.95, (name, share)
    assert 0.85 <= np.mean(together) <= 0.95, np.mean(together)


def test_coefficients_are_recovered_through_the_memory_model() -> None:
    """The same with the predictions that the program really makes."""
    rng = np.random.default_rng(11)
    for _ in range(6):
        truth = drawn(rng)
        found = fit([measured(length, truth, rng) for length in (512, 4096)])
        assert tuple(row.name for row in found.learnt) == NAMES
        for row in found.learnt:
            assert abs(row.value - getattr(truth, row.name).value) < 3 * row.sd, row
            assert getattr(found.coefficients, row.name).value == row.value
        assert found.coefficients.learnt == {row.name for row in found.learnt}


def test_measurements_that_are_as_predicted_teach_that_nothing_is_wrong() -> None:
    found = fit([measured(512), measured(4096)])
    for row in found.learnt:
        assert row.value == pytest.approx(row.prior, abs=0.02 * row.prior_sd)
        assert row.sd < row.prior_sd and not row.bounded


def test_noise_alone_moves_nothing_by_more_than_its_prior() -> None:
    """Of a machine that is as the priors expect.

    What one run shows less clearly than it is believed may in one case of twenty: the time of a step, known to a
    quarter, and the numbers of the allocator beside 3 % of all reserved memory.
    """
    rng = np.random.default_rng(3)
    still = []
    for _ in range(100):
        rows = learn(run(512, NOMINAL, rng), run(4096, NOMINAL, rng)).learnt
        still.append([abs(row.value - row.prior) < row.prior_sd for row in rows])
    shares = dict(zip(NAMES, np.mean(still, axis=0), strict=True))
    numbers = ("throughput_efficiency", "slack_scale", "slack_constant", "simulation_scale")
    unclear = [shares.pop(name) for name in numbers]
    assert min(unclear) >= 0.95 and set(shares.values()) == {1.0}


def test_identical_runs_add_nothing() -> None:
    rng = np.random.default_rng(5)
    short, long = run(512, drawn(rng), rng), run(4096, drawn(rng), rng)
    assert learn(short, long, short, long, long).learnt == learn(short, long).learnt


def test_two_lengths_far_apart_say_more_than_one() -> None:
    one, near, far = learn(run(1024)), learn(run(1024), run(1100)), learn(run(512), run(4096))
    sds = [values(found)["activation_scale"].sd for found in (one, near, far)]
    assert sds[0] > sds[1] > 1.5 * sds[2]


@pytest.mark.parametrize("factor", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_bad_run_does_not_spoil_the_others(factor: float, bad: int) -> None:
    """Another program on the card, a run that was disturbed: one of three is off in everything."""
    rng = np.random.default_rng(17)
    kept = []
    for _ in range(40):
        truth = drawn(rng)
        runs = [run(length, truth, rng) for length in (512, 2048, 8192)]
        spoilt = runs[bad]
        assert spoilt.reserved_bytes and spoilt.context_bytes and spoilt.step_seconds and spoilt.resident_bytes
        runs[bad] = replace(
            spoilt,
            resident_bytes=int(spoilt.resident_bytes * factor),
            phase_bytes={phase: int(nbytes * factor) for phase, nbytes in spoilt.phase_bytes.items()},
            reserved_bytes=int(spoilt.reserved_bytes * factor),
            context_bytes=int(spoilt.context_bytes * factor**3),
            step_seconds=spoilt.step_seconds * factor**3,
        )
        found = learn(*runs)
        kept += [holds(row, truth) for row in found.learnt]
        for channel in ("allocated", "reserved"):
            (row, *_) = [c for c in found.compared if c.run == bad and c.channel == channel]
            assert row.doubtful
    assert np.mean(kept) > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_more_measured_is_more_learnt(name: str) -> None:
    belief = next(p for p in BELIEFS if p.name == name)
    found = [
        values(learn(run(512, k), run(4096, k)))[name].value
        for k in (moved(NOMINAL, [(belief, belief.mean + shift * belief.sd)]) for shift in (-0.6, -0.2, 0.2, 0.6))
    ]
    assert found == sorted(found) and len(set(found)) == 4


def test_a_correction_stays_within_its_bound_and_says_so() -> None:
    wrong = moved(NOMINAL, [(BELIEFS[0], float(np.log(3.0)))])
    found = values(learn(run(512, wrong), run(4096, wrong)))
    assert found["activation_scale"].value == pytest.approx(2.0) and found["activation_scale"].bounded
    for name, row in found.items():
        low, high = BOUNDS[name]
        assert low <= row.value <= high
    assert not found["context_base"].bounded


def out_of_memory(length: int, nbytes: int) -> Measurement:
    return replace(
        run(length), outcome="out_of_memory", allocated_bytes=nbytes, resident_bytes=None, phase_bytes={},
        reserved_bytes=None, context_bytes=None, step_seconds=None,
    )  # fmt: skip


def test_a_run_out_of_memory_is_a_lower_bound() -> None:
    predicted = closed_form(run(4096))(NOMINAL).allocated_bytes
    assert learn(out_of_memory(4096, predicted - GIB)).learnt == ()
    low = learn(out_of_memory(4096, predicted + GIB // 2))
    assert values(low)["activation_scale"].value > 1.02
    both = learn(run(512), run(2048), out_of_memory(4096, predicted - GIB))
    assert both.learnt == learn(run(512), run(2048)).learnt


@pytest.mark.parametrize("outcome", ["killed", "timed_out", "failed", "stopped"])
def test_a_run_that_did_not_finish_says_nothing(outcome: str) -> None:
    failed = replace(run(4096), outcome=outcome, allocated_bytes=GIB, message="It ended early.")  # type: ignore[arg-type]
    assert learn(run(512), failed).learnt == learn(run(512)).learnt
    assert learn(failed).learnt == () and learn(failed).coefficients == NOMINAL


def test_a_processor_has_no_context_and_no_workspaces() -> None:
    one = measured(512, card=PROCESSOR)
    k = fit([one, measured(1024, card=PROCESSOR)], predicting)
    simulated = ["activation_scale", "slack_scale", "slack_constant", "simulation_scale"]
    assert [row.name for row in k.learnt] == simulated
    with_time = measured(512, card=PROCESSOR, predict=closed_form)
    assert [row.name for row in fit([with_time], closed_form).learnt] == [*simulated, "throughput_efficiency"]
    tensors_only = replace(PROCESSOR, backend="fake", device="meta")
    found = fit([measured(512, card=tensors_only, predict=closed_form)], closed_form)
    assert [row.name for row in found.learnt] == simulated[:-1], "a trace cannot be compared with itself"


def test_expandable_segments_have_no_constant() -> None:
    found = values(fit([measured(length, expandable_segments=True) for length in (512, 4096)]))
    assert "slack_scale" in found and "slack_constant" not in found


def test_a_constant_and_a_share_of_the_slack_are_told_apart_by_two_lengths() -> None:
    """A factor on all reserved memory would take the one for the other, and miss at a third length."""
    base = backend_coefficients("cpu")
    truth = replace(
        base,
        slack_constant=replace(base.slack_constant, value=0.1),
        slack_scale=replace(base.slack_scale, value=0.5),
    )
    found = fit([measured(length, truth, card=PROCESSOR) for length in (512, 4096)])
    third = measured(2048, truth, card=PROCESSOR)
    assert third.reserved_bytes
    before, after = (
        abs(predicting(third)(k).reserved_bytes / third.reserved_bytes - 1) for k in (base, found.coefficients)
    )
    assert before > 0.01 and after < 0.003
    assert all(holds(row, truth) for row in found.learnt)


def test_the_simulated_allocator_is_a_factor_beside_the_slack() -> None:
    """Reserved memory that is 8 % more than simulated moves the factor; the closed form of the slack stays right."""
    truth = replace(NOMINAL, simulation_scale=replace(NOMINAL.simulation_scale, value=1.08))
    found = values(learn(run(512, truth), run(4096, truth)))
    assert found["simulation_scale"].value == pytest.approx(1.08, abs=0.01)
    assert found["simulation_scale"].sd < 0.5 * NOMINAL.simulation_scale.sd
    for name in ("slack_scale", "slack_constant"):
        assert found[name].value == pytest.approx(found[name].prior, abs=0.02 * found[name].prior_sd)


def test_what_was_not_simulated_teaches_nothing_of_the_simulation() -> None:
    runs = [replace(run(length), simulated_bytes=None) for length in (512, 4096)]
    found = learn(*runs)
    assert set(NAMES) - set(values(found)) == {"simulation_scale"}
    assert not [row for row in found.compared if row.channel == "simulated"]


def test_hopper_has_its_own_workspace() -> None:
    names = [row.name for row in fit([measured(512, card=HOPPER), measured(4096, card=HOPPER)]).learnt]
    assert "cublas_workspace_hopper" in names and "cublas_workspace" not in names


def test_a_disturbed_process_counts_less() -> None:
    k = replace(NOMINAL, context_base=replace(NOMINAL.context_base, value=100.0))
    quiet = run(512, k)
    noisy = replace(quiet, disturbed_bytes=300 * MIB)
    assert values(learn(noisy))["context_base"].value < 30 < values(learn(quiet))["context_base"].value


def test_the_context_is_what_the_process_holds_beside_the_allocator() -> None:
    k = replace(NOMINAL, context_base=replace(NOMINAL.context_base, value=100.0))
    whole = run(512, k)
    assert whole.reserved_bytes and whole.context_bytes
    process = replace(whole, process_bytes=whole.reserved_bytes + whole.context_bytes, context_bytes=None)
    assert values(learn(process))["context_base"] == values(learn(whole))["context_base"]


def test_every_figure_is_shown_before_and_after() -> None:
    rng = np.random.default_rng(23)
    truth = moved(NOMINAL, [(p, p.mean + 1.5 * p.sd) for p in BELIEFS])
    runs = [run(512, truth, rng), run(4096, truth, rng)]
    rows = learn(*runs).compared
    assert {(row.run, row.channel) for row in rows} >= {(i, c) for i in (0, 1) for c in ("allocated", "reserved")}
    for row in rows:
        assert abs(row.after - row.measured) <= abs(row.before - row.measured) + 0.02 * abs(row.measured)
        if row.channel == "allocated":
            assert row.measured == runs[row.run].phase_bytes[row.phase]
    (time,) = [row for row in rows if row.channel == "step_seconds" and row.run == 0]
    assert time.measured == pytest.approx(runs[0].step_seconds)
