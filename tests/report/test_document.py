"""The JSON: its shape is that of the published schema, its figures add up, and its bytes are a contract."""

import copy
import json
from typing import Any

import pytest
from golden import assert_golden
from json_schema import problems
from sample_answers import answer

from vram_advisor import api
from vram_advisor.accuracy.case import Refusal
from vram_advisor.accuracy.metrics import Figures
from vram_advisor.accuracy.score import GroupScore, MacroScore, Report
from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot, HostSnapshot, Machine
from vram_advisor.report.choices import TABLES, choices, names
from vram_advisor.report.document import (
    accuracy_document,
    answer_document,
    gpus_document,
    machine_document,
    models_document,
)  # fmt: skip
from vram_advisor.report.schema import DOCUMENTS, schema
from vram_advisor.sources.catalog_gpus import list_gpus
from vram_advisor.sources.catalog_models import find_record
from vram_advisor.units.errors import BadInput

FIGURES = Figures(9, 0.002, 0.005, -0.001, 0.0, 0.9)
REPORT = Report(
    (GroupScore("rtx-5090-receipts", "lora", "allocated", "A", FIGURES),),
    (MacroScore("allocated", 3, FIGURES),),
    (Refusal("row-7", "GRPO is not modelled"), Refusal("row-8", "GRPO is not modelled")),
    ("row-9",),
    (),
)
MACHINE = Machine(
    HostSnapshot("linux", "A Processor", 16, 64 * 2**30, 50 * 2**30),
    (
        GpuSnapshot(
            0, "NVIDIA GeForce RTX 4090", "NVIDIA", 24 * 2**30, 20 * 2**30,
            compute_capability="8.9", processes=(GpuProcess(11, "python", 3 * 2**30), GpuProcess(12, None, None)),
        ),
        GpuSnapshot(1, "Another", "AMD", 8 * 2**30, None, source="sysfs", notes=("Free memory is not reported.",)),
    ),
    driver="570.1", cuda_driver="12.8", notes=("GPU 2 is lost.",),
)  # fmt: skip


def as_json(document: Any) -> Any:
    """The document as another program reads it."""
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("kind", ["fits", "tight", "no", "unknown", "busy"])
def test_answers_follow_their_schema(kind: Any) -> None:
    assert problems(as_json(answer_document(answer(kind))), schema("check")) == []


def test_other_documents_follow_their_schemas() -> None:
    assert problems(as_json(machine_document(MACHINE)), schema("detect")) == []
    assert problems(as_json(gpus_document(list_gpus())), schema("gpus")) == []
    assert problems(as_json(models_document([find_record("7b"), find_record("gpt2")])), schema("models")) == []
    assert problems(as_json(accuracy_document(REPORT)), schema("accuracy")) == []


def test_the_schema_refuses_what_is_not_the_shape() -> None:
    right = as_json(answer_document(answer("fits")))
    for break_it in (
        lambda d: d.pop("schema_version"),
        lambda d: d["model"].update(extra=1),
        lambda d: d["options"][0]["peak"]["allocated_bytes"].update(mid=1.5),
        lambda d: d["options"][0]["verdict"].update(outcome="perhaps"),
        lambda d: d["options"][0]["plan"].update(lora_r=0),
        lambda d: d["workload"].update(method="guess"),
        lambda d: d["options"][0].update(recipe="trl"),
    ):
        wrong = copy.deepcopy(right)
        break_it(wrong)
        assert problems(wrong, schema("check")) != []


def test_the_fixed_keys_of_an_answer() -> None:
    document = answer_document(answer("fits"))
    assert set(document) >= {
        "schema_version", "model", "workload", "device", "calibration", "options", "recommended", "smallest_gpus",
        "assumptions", "warnings",
    }  # fmt: skip
    assert set(document["options"][0]) >= {
        "plan", "recipe", "peak", "phases", "components", "host_bytes", "adapter", "verdict",
    }  # fmt: skip
    assert set(document["options"][0]["recipe"]) == {"name", "title", "versions", "evidence", "source"}
    assert answer_document(answer("unknown"))["device"] is None
    assert answer_document(answer("tight"))["calibration"] is None


def test_golden_json() -> None:
    document = as_json(answer_document(answer("fits")))
    # Levers come and go with their records, whose schema is tested above: here stands the shape around them.
    document["workload"] = {"method": document["workload"]["method"]}
    for option in document["options"]:
        option["plan"] = {"quantization": option["plan"]["quantization"]}
    assert_golden("check_fits.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")


@pytest.mark.parametrize("method", ["lora", "full", "qlora"])
def test_components_alive_at_the_peak_sum_to_it(method: str) -> None:
    document = answer_document(api.check("7b", method=method, gpu="rtx-5070"))
    for option in document["options"]:
        peak = option["peak"]
        alive = sum(c["bytes"]["mid"] for c in option["components"] if peak["phase"] in c["alive"])
        assert alive == peak["allocated_bytes"]["mid"]
        assert max(p["allocated_bytes"] for p in option["phases"]) == peak["allocated_bytes"]["mid"]


def test_a_real_answer_follows_the_schema() -> None:
    assert problems(as_json(answer_document(api.check("7b", method="lora", gpu="rtx-5070"))), schema("check")) == []


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_every_schema_has_what_tools_need(name: str) -> None:
    found = schema(name)
    assert found["$schema"].startswith("https://json-schema.org/")
    assert found["type"] == "object" and found["additionalProperties"] is False


def test_fields_carry_their_description() -> None:
    assert schema("plan")["properties"]["lora_r"]["description"] == "Rank of the adapters."
    peak = schema("check")["$defs"]["PeakDocument"]["properties"]["process_bytes"]
    assert "nvidia-smi" in peak["description"]


def test_an_unknown_schema_names_the_known() -> None:
    with pytest.raises(BadInput, match="use one of check, advise"):
        schema("everything")


@pytest.mark.parametrize("field", list(TABLES))
def test_every_row_of_a_table_is_a_choice(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(iter(TABLES[field].values()))
    monkeypatch.setitem(TABLES[field], "made-up", row)  # type: ignore[arg-type]
    assert choices(field)[-1].name == "made-up"
    assert "made-up" in names(field)
    assert "made-up" in schema("plan")["properties"][field]["examples"]
