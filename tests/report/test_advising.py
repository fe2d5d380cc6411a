"""Advice and traces on the screen and as JSON."""

import json

from tests.calibration.test_traced_estimate import STEP
from tests.report.json_schema import problems
from vram_advisor import api
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.domain.recipe import recipe
from vram_advisor.domain.trace import Compared, TraceAnswer
from vram_advisor.report.advice_document import advice_document
from vram_advisor.report.advising import advice_lines
from vram_advisor.report.layout import plain
from vram_advisor.report.look import Look
from vram_advisor.report.schema import schema
from vram_advisor.report.trace_document import trace_document
from vram_advisor.report.tracing import trace_lines

TRACED = TraceAnswer(
    "sample-7b", "a sample", Workload(method="lora"), Plan(quantization="bf16"), recipe("transformers-peft"), STEP, None,
    None, (Compared("forward", 100, 101),), (Compared("weights", 50, 50),),
)  # fmt: skip


def test_advice_follows_its_schema() -> None:
    document = advice_document(api.advise("13b", gpu="rtx-5070", method="lora"))
    assert problems(json.loads(json.dumps(document)), schema("advise")) == []
    assert document["advices"][0]["verdict"]["outcome"] == "fits"


def test_a_trace_follows_its_schema() -> None:
    assert problems(json.loads(json.dumps(trace_document(TRACED))), schema("trace")) == []


def test_advice_says_what_to_type() -> None:
    answer = api.advise("13b", gpu="rtx-5070", method="lora")
    said = "\n".join(plain(each) for each in advice_lines(answer, Look(), 200, "rtx-5070"))
    assert "vram-advisor check --model llama-2-13b --method lora --quantization nf4_double --gpu rtx-5070" in said


def test_no_line_is_wider_than_the_terminal() -> None:
    answer = api.advise("7b", gpu="rtx-5070", method="lora", micro_batch_size=4)
    for width in (60, 80, 120):
        lines = [*advice_lines(answer, Look(), width, "rtx-5070"), *trace_lines(TRACED, Look(), width, True)]
        assert max(len(plain(each)) for each in lines) <= width


def test_a_bar_has_a_cell_for_whatever_exists() -> None:
    said = [plain(each) for each in trace_lines(TRACED, Look(), 100, False)]
    forward = next(each for each in said if "forward pass" in each)
    assert len({*forward.split("GiB")[1]} - {" ", "◂"}) == 5
