"""Records check what people and files give them."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import pytest

from vram_advisor import api
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.units.errors import BadInput
from vram_advisor.units.record import allowed, check, read_record


@dataclass(frozen=True, kw_only=True)
class Inner:
    count: int

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    day: date
    share: float | None = field(default=None, metadata={"exclusiveMinimum": 0})
    kinds: tuple[Literal["a", "b"], ...] = ()
    inner: Inner
    free: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if self.name == "odd":
            raise ValueError("name is odd")


TABLE: dict[str, Any] = {
    "name": "x",
    "day": date(2026, 11, 24),
    "kinds": ["a"],
    "inner": {"count": 3},
    "free": {"k": 1},
}


def test_a_table_becomes_a_record() -> None:
    assert read_record(Outer, TABLE, "here") == Outer(
        name="x", day=date(2026, 11, 24), kinds=("a",), inner=Inner(count=3), free={"k": 1}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "here: colour: no such key."),
        ({"inner": {}}, "here: inner: count is missing."),
        ({"inner": {"count": 1.5}}, "here: inner: count: 1.5 should be a whole number."),
        ({"inner": 3}, "here: inner: 3 should be a table."),
        ({"name": 7}, "here: name: 7 should be text."),
        ({"name": "odd"}, "here: name is odd."),
        ({"day": "today"}, "here: day: today should be a date."),
        ({"share": 0}, "here: share: 0 should be greater than 0."),
        ({"share": True}, "here: share: True should be a number."),
        ({"kinds": ["c"]}, "here: kinds: ['c'] should be a list, each a or b."),
        ({"kinds": "a"}, "here: kinds: a should be a list, each a or b."),
        ({"free": []}, "here: free: [] should be a table."),
    ],
)
def test_a_wrong_table_is_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_record(Outer, TABLE | change, "here")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"sequence_length": 0}, "--sequence-length 0: should be greater than or equal to 1."),
        ({"sequence_length": 10**5000}, "--sequence-length with hundreds of digits: should be less than"),
        ({"sequence_length": 2.5}, "--sequence-length 2.5: should be a whole number."),
        ({"sequence_length": True}, "--sequence-length True: should be a whole number."),
        ({"sequence_length": None}, "--sequence-length None: should be a whole number."),
        ({"method": "lor"}, "--method lor: should be inference, lora, qlora, dora or full; the nearest is lora."),
        ({"gradient_checkpointing": "half"}, "should be none, full, selective or offload."),
        ({"gpu_memory_utilization": 0}, "should be greater than 0.0."),
        ({"lora_dropout": float("nan")}, "--lora-dropout nan: should be a number."),
        ({"target_modules": "q_proj"}, "--target-modules q_proj: should be a list, each text."),
        ({"use_rslora": 1}, "--use-rslora 1: should be true or false."),
        ({"rank": 8}, "'rank' is no option: use one of method, objective"),
    ],
)
def test_a_wrong_option_is_one_sentence(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        api.with_choices(Workload(), Plan(), choices)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_options_are_values() -> None:
    workload, plan = api.with_choices(
        Workload(), Plan(), {"sequence_length": np.int64(7), "target_modules": ["q_proj"]}
    )
    assert workload == Workload(sequence_length=7) and type(workload.sequence_length) is int
    expected = Plan(target_modules=("q_proj",), runtime=plan.runtime)
    assert plan == expected and hash(plan) == hash(expected)
    assert replace(plan, target_modules=("all-linear",), runtime=None) == Plan()


def test_a_quantization_in_the_plan_is_the_one_that_is_checked() -> None:
    answer = api.check("7b", method="lora", gpu="rtx-5070", plan=Plan(quantization="q4"))
    assert [option.plan.quantization for option in answer.options] == ["nf4_double"]


def test_words_for_what_is_allowed() -> None:
    assert allowed(int | None) == "a whole number"
    assert allowed(Literal["fp16", "bf16"] | None) == "fp16 or bf16"
    assert allowed(tuple[str, ...]) == "a list, each text"
