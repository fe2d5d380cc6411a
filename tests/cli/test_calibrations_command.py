"""``vram-advisor calibrations``, and what a kept calibration does to ``check``."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from done import Command
from sample_calibrations import calibration, moved

from vram_advisor import api
from vram_advisor.domain.coefficients import NOMINAL
from vram_advisor.sources.calibrations import save, store

ONE = calibration()
TWO = calibration("2026-11-22T08:00:00Z", stack="trl")
CHECK = ("check", "--model", "7b", "--method", "qlora", "--gpu", "rtx-4090")


@pytest.fixture
def kept() -> None:
    """A store with two calibrations."""
    save(ONE)
    save(TWO)


def test_an_empty_list_is_an_answer(command: Command) -> None:
    done = command("calibrations")
    assert done.code == 0 and done.out == "" and "vram-advisor calibrate makes one" in done.err
    done = command("calibrations", "list", "--json")
    assert json.loads(done.out) == {"schema_version": 1, "calibrations": [], "problems": []}


@pytest.mark.usefixtures("kept")
def test_the_list_says_where_and_what(command: Command) -> None:
    done = command("calibrations", "list")
    assert done.code == 0 and done.err == ""
    assert done.out.index(TWO.id) < done.out.index(ONE.id)
    assert "NVIDIA GeForce RTX 4090 (cuda), linux, driver 570, PyTorch 2.13" in " ".join(done.out.split())
    learnt = "activations ×1.02, workspaces +0 MiB, allocator slack ×0.9, constant slack +113 MiB, context −40 MiB"
    assert learnt in " ".join(done.out.split())
    document = json.loads(command("calibrations", "--json").out)
    assert [each["id"] for each in document["calibrations"]] == [TWO.id, ONE.id]
    assert document["calibrations"][1]["runs"] == 2


@pytest.mark.usefixtures("kept")
def test_one_is_shown_with_its_runs(command: Command) -> None:
    done = command("calibrations", "show", "2026-11-21")
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert ["activations", "1", "±", "0.06", "1.02", "±", "0.004"] in [row[:7] for row in rows]
    assert any(row[:4] == ["qlora", "2", "1", "×"] and "4,096" in row for row in rows)
    document = json.loads(command("calibrations", "show", ONE.id, "--json").out)
    assert document["schema_version"] == 1 and document["id"] == ONE.id and len(document["measurements"]) == 2


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("width", [40, 61, 80, 120])
def test_lines_keep_to_the_terminal(command: Command, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (("list",), ("show", ONE.id)):
        done = command("calibrations", *words)
        assert max(map(len, done.out.splitlines())) <= width


@pytest.mark.usefixtures("kept")
def test_removing_forgets(command: Command) -> None:
    done = command("calibrations", "remove", ONE.id)
    assert done.code == 0 and done.out == "" and f"{ONE.id} is removed" in done.err
    assert [each.id for each in api.list_calibrations().calibrations] == [TWO.id]
    assert json.loads(command("calibrations", "remove", "2026-11-22", "--json").out)["removed"] == [TWO.id]
    assert api.list_calibrations().calibrations == ()


@pytest.mark.usefixtures("kept")
def test_a_calibration_travels(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    assert command("calibrations", "export", "2026-11-21", file).code == 0
    assert command("calibrations", "remove", ONE.id).code == 0
    done = command("calibrations", "import", file, "--json")
    assert done.code == 0 and json.loads(done.out) == {"schema_version": 1, "imported": ONE.id}
    assert api.find_calibration(ONE.id) == ONE


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nothing"), "There is no calibration 'nothing'"),
        (("show", "2026"), "write more of it"),
        (("remove", "../../etc"), "There is no calibration"),
        (("export", "2026-11-21", "/no/such/place/file.json"), "is not a directory"),
        (("import", "/no/such/file.json"), "is not there"),
        (("show",), "is missing"),
        (("shwo", "x"), "shwo"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence(command: Command, words: tuple[str, ...], said: str) -> None:
    done = command("calibrations", *words)
    assert done.code == 2 and done.out == ""
    assert said in done.err and done.err.count("\n") == 1 and "Traceback" not in done.err


def test_a_file_that_is_no_calibration_is_refused(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "evil.json"
    file.write_text('{"schema_version": 1, "kind": "calibration", "learnt": 3}')
    done = command("calibrations", "import", file)
    assert done.code == 2 and "learnt should be a list" in done.err


def test_a_broken_file_is_said_and_the_rest_works(command: Command) -> None:
    save(ONE)
    directory = store()
    assert directory is not None
    (directory / "broken.json").write_text("{")
    done = command("calibrations", "list")
    assert done.code == 0 and ONE.id in done.out and "broken.json is not JSON" in done.err
    assert any("broken.json" in said for said in json.loads(command(*CHECK, "--json").out)["warnings"])


def answer(command: Command, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(*CHECK, "--json", *words).out)
    return found


def test_an_answer_names_the_calibration_that_corrected_it(command: Command) -> None:
    nominal = answer(command)
    assert nominal["calibration"] is None
    save(ONE)
    corrected = answer(command)
    applied = corrected["calibration"]
    assert applied["id"] == ONE.id and applied["kinship"] == "gpu and recipe" and applied["differs"] == []
    assert applied["key"]["gpu"] == "NVIDIA GeForce RTX 4090" and applied["created"] == ONE.created
    assert {row["name"]: row["value"] for row in applied["learnt"]}["activation_scale"] == pytest.approx(1.02)
    chosen = corrected["options"][corrected["recommended"]]
    assert any(c["kind"] == "correction" and "+2 %" in c["label"] for c in chosen["components"])
    for option in corrected["options"]:
        alive = [c for c in option["components"] if option["peak"]["phase"] in c["alive"]]
        assert sum(c["bytes"]["mid"] for c in alive) == option["peak"]["allocated_bytes"]["mid"]
    assert answer(command, "--no-calibration") == nominal


def test_the_screen_says_how_old_it_is(command: Command) -> None:
    assert "- nominal coefficients, not calibrated" in command(*CHECK).out
    save(ONE)
    text = " ".join(command(*CHECK).out.split())
    assert re.search(
        r"calibrated on a GPU of this kind (today|yesterday|\d+ days ago|on 2026-11-21) \(activations", text
    )
    assert "nominal coefficients" in command(*CHECK, "--no-calibration").out
    assert "correction" in command(*CHECK, "--explain").out


def test_measured_context_narrows_the_answer(command: Command) -> None:
    nominal = answer(command)
    save(ONE)
    corrected = answer(command)

    def width(document: dict[str, Any]) -> int:
        minimum = document["options"][document["recommended"]]["peak"]["process_bytes"]
        return int(minimum["high"] - minimum["low"])

    assert width(corrected) < width(nominal)


def test_a_negative_correction_is_drawn(command: Command) -> None:
    """Parts are drawn as corrected, and the bar still sums to the card."""
    save(replace(ONE, learnt=moved("activation_scale", 0.6, 0.02)))
    done = command(*CHECK, "--explain")
    assert done.code == 0 and "measured correction: -40 % of what grows with the tokens" in " ".join(done.out.split())


def test_other_coefficients_are_taken_as_they_are() -> None:
    save(ONE)
    mine = replace(NOMINAL, context_base=replace(NOMINAL.context_base, value=99.0))
    assert api.check("7b", method="qlora", gpu="rtx-4090", coefficients=mine).calibration is None
    assert api.check("7b", method="qlora").calibration is None, "without a card there is nothing to correct"
