"""A knob is declared once: the arguments of tools are the fields of the records of the domain."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from vram_advisor.domain.job import Dataset
from vram_advisor.domain.plan import Plan, Workload
from vram_advisor.mcp.server import described
from vram_advisor.mcp.tools import TOOLS
from vram_advisor.report.schema import schema
from vram_advisor.units.errors import BadInput

KNOBS = [field.name for record in (Workload, Plan) for field in fields(record)]


def properties(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = described(TOOLS[name]).input_schema["properties"]
    return found


@pytest.mark.parametrize("name", ["check", "advise", "rank_gpus", "fit_models"])
def test_every_field_is_an_argument(name: str) -> None:
    assert set(KNOBS) <= set(properties(name))


def test_a_dataset_is_asked_about_in_advice() -> None:
    assert {field.name for field in fields(Dataset)} <= set(properties("advise"))


def test_an_argument_says_what_it_is_and_what_it_may_be() -> None:
    taken = properties("check")
    assert taken["lora_r"] == {
        "default": 16, "description": "Rank of the adapters.", "type": "integer", "minimum": 1, "maximum": 2**20,
    }  # fmt: skip
    assert taken["method"]["enum"] == ["inference", "lora", "qlora", "dora", "full"]
    assert "adamw_torch" in taken["optimizer"]["examples"]


@pytest.mark.parametrize("name", TOOLS)
def test_schemas_are_schemas(name: str) -> None:
    tool = described(TOOLS[name])
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.input_schema["type"] == "object" and tool.input_schema["additionalProperties"] is False
    assert all("description" in each for each in tool.input_schema["properties"].values())
    assert tool.output_schema == schema(TOOLS[name].document)


@pytest.mark.parametrize("name", TOOLS)
def test_tools_say_that_they_change_nothing(name: str) -> None:
    hints = described(TOOLS[name]).annotations
    assert hints is not None and hints.read_only_hint is True and hints.destructive_hint is False


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("check", {"modell": "7b"}, "There is no argument 'modell'; the nearest is model."),
        ("check", {}, "The argument model is missing."),
        ("rank_gpus", {"method": "lora"}, "The argument model is missing."),
        ("check", {"model": 7}, "--model 7: should be text."),
        ("check", {"model": "7b", "sequence_length": "long"}, "--sequence-length long: should be a whole number."),
        ("check", {"model": "7b", "sequence_length": 2048.5}, "--sequence-length 2048.5: should be a whole number."),
        ("check", {"model": "7b", "micro_batch_size": True}, "--micro-batch-size True: should be a whole number."),
        ("check", {"model": "7b", "target_modules": "q_proj"}, "--target-modules q_proj: should be a list, each text."),
        ("check", {"model": "7b", "method": "lroa"}, "the nearest is lora."),
        ("check", {"model": "7b", "gpu": "rtx-5070", "gpu_index": 0}, "use one of the two"),
        ("list_gpus", {"words": "rtx"}, "--words rtx: should be a list, each text."),
        ("list_local_models", {"context_length": 0}, "--context-length 0: should be greater than or equal to 1."),
        ("detect", {"model": "7b"}, "There is no argument 'model'."),
    ],
)
def test_a_wrong_argument_is_a_sentence(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        TOOLS[name].answer(arguments)
    assert said in str(caught.value)
