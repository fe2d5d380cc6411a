"""Every advice, asked for as it says, has the memory and the verdict that it claims."""

import contextlib
import io
import json
import shlex

import pytest
from claimed import GPUS, METHODS, Question, broken

from vram_advisor import api
from vram_advisor.cli.app import run
from vram_advisor.report.command import command_line
from vram_advisor.units.errors import NotModelled

MODELS = [record.id for record in api.list_models()]
SAMPLE = MODELS[::12]
"""One in twelve models in the quick suite; each with one card and one method, so that all of both come up."""


def all_claims_hold(question: Question) -> int:
    """Ask for advice, then check every advice of it; how many there were."""
    try:
        answer = api.advise(question.model, gpu=question.gpu, method=question.method)
    except NotModelled:
        return 0
    for advice in answer.advices:
        assert broken(question, advice) is None
    return len(answer.advices)


def test_claims_hold_on_a_sample() -> None:
    cases = [Question(m, GPUS[(5 * i) % 12], METHODS[i % 4]) for i, m in enumerate(SAMPLE)]
    assert sum(all_claims_hold(case) for case in cases) > 5


@pytest.mark.parametrize(
    "question",
    [
        Question("llama-2-13b", "rtx-5070", "lora"),
        Question("llama-2-7b", "rtx-4090", "full"),
        Question("qwen3-8b", "t4", "full"),
        Question("qwen3-30b-a3b", "rtx-4090", "inference"),
    ],
)
def test_the_command_under_an_advice_gives_what_it_claims(question: Question) -> None:
    for advice in api.advise(question.model, gpu=question.gpu, method=question.method).advices:
        typed = shlex.split(command_line(advice.model.id, advice.workload, advice.asked, question.gpu))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            run([*typed[1:], "--json"])
        (option,) = json.loads(out.getvalue())["options"]
        peak = advice.estimate.peak
        assert (option["peak"]["phase"], option["verdict"]["outcome"]) == (peak.phase, advice.verdict.outcome)
        assert option["peak"]["minimum_bytes"]["mid"] == peak.minimum_bytes.mid


@pytest.mark.trainers
@pytest.mark.parametrize("method", METHODS)
def test_claims_hold_for_every_model(method: str) -> None:
    # One of the twelve cards for each model, another for the next and for another method; benchmarks/claims.py asks all.
    cases = [Question(model, GPUS[(i + 5 * METHODS.index(method)) % 12], method) for i, model in enumerate(MODELS)]
    assert sum(all_claims_hold(case) for case in cases) > 50
