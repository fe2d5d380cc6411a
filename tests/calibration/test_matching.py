"""Which calibration serves a question, and how much of it: nearest kin first, and never more than it knows."""

from dataclasses import replace
from typing import Any

import pytest
from sample_calibrations import LEARNT, calibration, moved

from vram_advisor import __version__
from vram_advisor.calibration.matching import CARRIED, LESS, Wanted, best, carried, correction
from vram_advisor.domain.calibration import BOUNDS, Learnt, corrected
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.domain.gpu import Device
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.memory.estimate import estimate
from vram_advisor.memory.session import resolved_inference
from vram_advisor.memory.setup import resolved
from vram_advisor.memory.usable import device_from_spec
from vram_advisor.sources.catalog_gpus import find_gpu
from vram_advisor.sources.catalog_models import find_model
from vram_advisor.units.bytes import GIB, MIB

HERE = replace(device_from_spec(find_gpu("rtx-4090"), 1, "linux"), source="detected", driver="570.124.06")
OTHER_CARD = "NVIDIA A100-SXM4-80GB"
SAME = calibration()


def wanted(
    device: Device = HERE,
    stack: str = "transformers-peft",
    method: str = "qlora",
    torch: str | None = "2.13",
    **levers: Any,
) -> Wanted:
    workload = Workload(method=method)  # type: ignore[arg-type]
    plan = Plan(**{"quantization": "nf4_double", "recipe": stack, **levers})
    plan = resolved(workload, plan, recipe(stack)) if workload.trains else resolved_inference(plan)
    return Wanted(device=device, workload=workload, plan=plan, program=__version__, torch=torch)


def values(learnt: tuple[Learnt, ...]) -> dict[str, Learnt]:
    return {row.name: row for row in learnt}


def carries(made: Any, asked: Wanted) -> dict[str, Learnt]:
    """What counts of one calibration."""
    match = best([made], asked)
    return {} if match is None else values(carried(match, NOMINAL))


def test_the_same_card_and_recipe_counts_in_full() -> None:
    found = carries(SAME, wanted())
    for row in LEARNT:
        assert found[row.name].value == pytest.approx(row.value) and found[row.name].sd == pytest.approx(row.sd)
    match = best([SAME], wanted())
    assert match is not None and match.kinship == "gpu and recipe" and match.differs == ()


def test_the_nearest_kin_wins_and_of_equals_the_newest() -> None:
    """Same card and recipe, then the card with another recipe, then the recipe on another card."""
    card = calibration("2026-11-22T00:00:00Z", stack="trl")
    stack = calibration("2026-11-23T00:00:00Z", gpu=OTHER_CARD)
    stranger = calibration("2026-11-24T00:00:00Z", gpu=OTHER_CARD, stack="trl")
    newer = calibration("2026-11-21T16:00:00Z")
    other_torch = calibration("2026-11-22T16:00:00Z", torch="2.14.0")
    kept = [stranger, other_torch, stack, newer, card, SAME]
    order = []
    while (match := best(kept, wanted())) is not None:
        order.append(match.calibration)
        kept.remove(match.calibration)
    assert order == [newer, SAME, other_torch, card, stack]
    assert kept == [stranger], "a calibration of another card and another recipe says nothing"


def test_another_recipe_on_the_card_teaches_about_the_card() -> None:
    found = carries(calibration(stack="trl"), wanted())
    assert found["context_base"].value == pytest.approx(-25.0)
    assert found["cublas_workspace"].value == pytest.approx(9e6)
    assert found["slack_constant"].value == pytest.approx(0.445), "of a pair, one alone counts half"
    assert "activation_scale" not in found and "slack_scale" not in found


def test_the_recipe_on_another_card_teaches_about_the_recipe() -> None:
    found = carries(calibration(gpu=OTHER_CARD), wanted())
    assert found["activation_scale"].value == pytest.approx(1.02)
    assert found["slack_scale"].value == pytest.approx(0.95) and "slack_constant" not in found
    assert "context_base" not in found and "cublas_workspace" not in found


@pytest.mark.parametrize("backend", ["cpu", "fake"])
def test_what_no_card_ran_corrects_no_card(backend: Any) -> None:
    made = calibration(backend=backend, gpu=HERE.name, learnt=moved("activation_scale", 1.2)[:1])
    assert best([made], wanted()) is None


def test_other_makers_are_other_backends() -> None:
    amd = replace(HERE, name="AMD Radeon RX 7900 XTX", spec=None)
    assert best([SAME], wanted(amd)) is None
    made = calibration(gpu="AMD Radeon RX 7900 XTX", backend="rocm")
    assert best([made], wanted(amd)) is not None and best([made], wanted()) is None


def test_a_card_is_known_by_what_the_driver_calls_it_and_by_its_memory() -> None:
    """The name of NVML, the catalogue's name, and a named card that is not in the machine."""
    assert best([SAME], wanted(replace(HERE, spec=None, name="NVIDIA GeForce RTX 4090"))) is not None
    named = device_from_spec(find_gpu("4090"), 1, "linux")
    match = best([SAME], wanted(named))
    assert match is not None and match.kinship == "gpu and recipe"
    laptop = best([SAME], wanted(device_from_spec(find_gpu("rtx-4080"), 1, "linux")))
    assert laptop is not None and laptop.kinship == "recipe"


def test_another_system_is_another_card() -> None:
    match = best([SAME], wanted(replace(HERE, system="windows")))
    assert match is not None and match.kinship == "recipe"


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (wanted(torch="2.12"), "torch"),
        (wanted(replace(HERE, driver="580.1")), "driver"),
        (wanted(attn_implementation="eager"), "levers"),
        (wanted(quantization="bf16", method="lora"), "levers"),
        (wanted(expandable_segments=True), "allocator"),
        (replace(wanted(), program="9.0.0"), "program"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_differs_counts_for_less(asked: Wanted, difference: str) -> None:
    match = best([SAME], asked)
    assert match is not None and match.differs == (difference,)
    found = carries(SAME, asked)
    for row in LEARNT:
        factor = LESS[difference].get(row.name, 1.0)
        if factor == 0.0:
            assert row.name not in found
            continue
        nominal = getattr(NOMINAL, row.name)
        assert found[row.name].value == pytest.approx(nominal.value + factor * (row.value - nominal.value))
        assert row.sd <= found[row.name].sd + 1e-12 <= nominal.sd
        if factor < 1:
            assert found[row.name].sd > 0.8 * nominal.sd, "half a correlation leaves most of the spread"


def test_what_is_not_known_makes_no_difference() -> None:
    match = best([SAME], wanted(replace(HERE, driver=None), torch=None))
    assert match is not None and match.differs == ()


def test_a_patch_release_is_the_same_program() -> None:
    same = ".".join([*__version__.split(".")[:2], "99"])
    match = best([SAME], replace(wanted(), program=same))
    assert match is not None and match.differs == ()


def test_inference_learns_of_context_and_workspaces_only() -> None:
    found = carries(SAME, wanted(method="inference"))
    assert set(found) == {"context_base", "cublas_workspace"}
    assert best([calibration(gpu=OTHER_CARD)], wanted(method="inference")) is None


SIMULATED = Learnt(name="simulation_scale", prior=1.0, prior_sd=0.07, value=1.04, sd=0.01)


def test_a_simulated_allocator_serves_traces_and_the_slack_serves_the_closed_form() -> None:
    made = calibration(learnt=(*LEARNT, SIMULATED))
    closed, traced = carries(made, wanted()), carries(made, replace(wanted(), traced=True))
    assert "simulation_scale" not in closed and {"activation_scale", "slack_scale", "slack_constant"} <= set(closed)
    assert traced["simulation_scale"].value == pytest.approx(1.04)
    assert not {"activation_scale", "slack_scale", "slack_constant"} & set(traced)
    assert {"context_base", "cublas_workspace"} <= set(traced)
    assert set(carries(SAME, replace(wanted(), traced=True))) == {row.name for row in LEARNT}, "an older calibration"


def test_steps_that_are_not_all_alike_keep_the_slack() -> None:
    made, asked = calibration(learnt=(*LEARNT, SIMULATED)), replace(wanted(), traced=True)
    for other in (
        replace(asked, workload=replace(asked.workload, lengths="varied")),
        replace(asked, plan=replace(asked.plan, num_gpus=2)),
    ):
        assert "slack_constant" in carries(made, other) and "simulation_scale" not in carries(made, other)


def test_every_rule_is_about_coefficients_that_can_be_learnt() -> None:
    for table in (*CARRIED.values(), *LESS.values()):
        assert set(table) <= set(BOUNDS)
        assert all(0 <= r <= 1 for r in table.values())


def test_without_a_match_the_coefficients_are_the_nominal_ones() -> None:
    assert correction([], wanted(), NOMINAL) == (NOMINAL, None)
    assert correction([calibration(learnt=())], wanted(), NOMINAL) == (NOMINAL, None)


def test_a_correction_names_its_calibration() -> None:
    k, applied = correction([SAME], wanted(), NOMINAL)
    assert applied is not None and applied.id == SAME.id and applied.kinship == "gpu and recipe"
    assert k.source == f"calibration {SAME.id}" == k.activation_scale.reference
    assert k.learnt == {row.name for row in LEARNT} and k.slack_loss == NOMINAL.slack_loss


def test_half_a_correction_never_widens_beyond_what_the_recipe_is_known_to() -> None:
    """A correction of 2 % that counts half must not make the answer less sure than no measurement at all."""
    model, asked = find_model("llama-3.1-8b"), wanted(attn_implementation="eager")
    k, _ = correction([SAME], asked, NOMINAL)
    habits = recipe("transformers-peft")
    half = estimate(model, asked.workload, asked.plan, habits, HERE, k).estimate.peak
    none = estimate(model, asked.workload, asked.plan, habits, HERE, NOMINAL).estimate.peak
    for number in ("allocated_bytes", "reserved_bytes"):
        one, other = getattr(half, number), getattr(none, number)
        assert one.high - one.low <= 1.15 * (other.high - other.low)


def test_corrections_reach_the_estimate() -> None:
    model, asked = find_model("llama-3.1-8b"), wanted()
    k = corrected(NOMINAL, [Learnt(name="context_base", prior=15.0, prior_sd=55.0, value=115.0, sd=5.0)], "here")
    peaks = [
        estimate(model, asked.workload, asked.plan, recipe("transformers-peft"), HERE, each).estimate.peak
        for each in (NOMINAL, k)
    ]
    assert peaks[1].process_bytes.mid - peaks[0].process_bytes.mid == pytest.approx(100 * MIB, abs=1)
    assert peaks[1].minimum_bytes.mid - peaks[0].minimum_bytes.mid == pytest.approx(100 * MIB, abs=1)
    assert HERE.total_bytes > 20 * GIB
