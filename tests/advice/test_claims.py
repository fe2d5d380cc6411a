"""Every advice, asked for as it says, has the memory and the verdict that it claims."""

import pytest

from vram_advisor import api
from vram_advisor.domain.advice import Advice
from vram_advisor.units.errors import NotModelled

GPUS = (
    "rtx-3060-12gb", "rtx-4060", "rtx-5070", "rtx-5080", "rtx-3090", "rtx-4090", "rtx-5090", "a100-pcie-40gb", "l40s",
    "h100-sxm", "t4", "rtx-pro-6000-blackwell",
)  # fmt: skip
METHODS = ("lora", "qlora", "full", "inference")
MODELS = [record.id for record in api.list_models()]
SAMPLE = MODELS[::12]
"""One in twelve models in the quick suite; each with one card and one method, so that all of both come up."""


def claims_hold(advice: Advice, gpu: str) -> None:
    """Ask what the advice says to ask."""
    again = api.check(advice.model, gpu=gpu, workload=advice.workload, plan=advice.asked)
    found = [option for option in again.options if option.estimate.minimum_mean == advice.estimate.minimum_mean]
    assert found, f"{[move.title for move in advice.moves]}: none of the options needs what was claimed"
    assert found[0].verdict.outcome == advice.verdict.outcome
    assert found[0].estimate.peak.phase == advice.peak_after


def all_claims_hold(model: str, method: str, gpu: str) -> int:
    """Ask for advice, then check every advice of it; how many there were."""
    try:
        answer = api.advise(model, gpu=gpu, method=method)
    except NotModelled:
        return 0
    for advice in answer.advices:
        claims_hold(advice, gpu)
    return len(answer.advices)


def test_claims_hold_on_a_sample() -> None:
    cases = [(m, METHODS[i % 4], GPUS[(5 * i) % 12]) for i, m in enumerate(SAMPLE)]
    assert sum(all_claims_hold(*case) for case in cases) > 5


@pytest.mark.trainers
@pytest.mark.parametrize("method", METHODS)
def test_claims_hold_for_every_model(method: str) -> None:
    # One of the twelve cards for each model, another for the next and for another method.
    cases = [(model, GPUS[(i + 5 * METHODS.index(method)) % 12]) for i, model in enumerate(MODELS)]
    assert sum(all_claims_hold(model, method, gpu) for model, gpu in cases) > 50
