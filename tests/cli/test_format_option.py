"""``--format`` and ``--output``: every form of an answer, on standard output and in a file."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from done import Command

ASKED = ("check", "--model", "7b", "--method", "lora", "--gpu", "rtx-5070")
BEGINS = {
    "table": "llama-2-7b (",
    "json": "{\n",
    "csv": "model,parameters,",
    "markdown": "## llama-2-7b",
    "html": "<!doctype html>",
    "svg": "<?xml",
}
LISTS = (
    ("gpus", "4090"),
    ("models", "llama-3.1"),
    ("gpus", "4090", "--for", "7b", "--method", "lora"),
    ("models", "llama-3.1-8b", "--fit", "--gpu", "rtx-5070"),
    ("advise", "--model", "13b", "--method", "lora", "--gpu", "rtx-5070"),
)


@pytest.mark.parametrize("form", BEGINS)
def test_every_form_begins_as_it_should(command: Command, form: str) -> None:
    done = command(*ASKED, "--format", form)
    assert done.code == 0 and done.err == ""
    assert done.out.startswith(BEGINS[form])


def test_advice_comes_in_every_form(command: Command) -> None:
    words = ("advise", "--model", "13b", "--method", "lora", "--gpu", "rtx-5070")
    for form, begins in {**BEGINS, "table": "llama-2-13b", "csv": "list,rank", "markdown": "## llama-2-13b"}.items():
        done = command(*words, "--format", form)
        assert done.code == 0 and done.err == ""
        assert done.out.startswith(begins)
    page = command(*words, "--rent-per-hour", "2.5", "--tokens", "9000", "--format", "html").out
    told = re.sub("<[^>]+>", "", page)
    assert f"{' '.join(('vram-advisor', *words))} --tokens 9000 --rent-per-hour 2.5 --format html" in told


def test_json_is_short_for_a_form(command: Command) -> None:
    assert command(*ASKED, "--json").out == command(*ASKED, "--format", "json").out
    assert command(*ASKED).out == command(*ASKED, "--format", "table").out


@pytest.mark.parametrize("form", BEGINS)
def test_a_file_gets_what_standard_output_would(
    command: Command, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    file = tmp_path / "answer"
    printed = command(*ASKED, "--format", form).out
    done = command(*ASKED, "--format", form, "--output", file)
    assert done.code == 0 and done.out == "" and done.err == f"vram-advisor: {file} is written.\n"
    written = file.read_bytes().decode()
    assert written == printed
    assert [path.name for path in tmp_path.iterdir()] == ["answer"], "nothing is left beside it"


def test_the_exit_code_is_that_of_the_answer(command: Command, tmp_path: Path) -> None:
    large = ("check", "--model", "70b", "--method", "lora", "--gpu", "rtx-5070")
    assert command(*large, "--format", "html", "--output", tmp_path / "no.html").code == 1
    assert (tmp_path / "no.html").exists()


def test_a_file_that_cannot_be_written_is_said(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for wrong in (tmp_path / "file" / "inside", tmp_path):
        done = command(*ASKED, "--format", "csv", "--output", wrong)
        assert done.code == 3 and "cannot be written" in done.err and done.out == ""
    assert (tmp_path / "file").read_text() == "kept"


def test_what_is_no_file_is_not_replaced(command: Command) -> None:
    assert command(*ASKED, "--format", "svg", "--output", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


def test_a_plan_for_a_program_goes_to_a_file_too(command: Command, tmp_path: Path) -> None:
    command(*ASKED, "--emit", "axolotl", "--output", tmp_path / "run.yaml")
    assert (tmp_path / "run.yaml").read_text() == command(*ASKED, "--emit", "axolotl").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*ASKED, "--json", "--format", "html"), "leave out one of --json and --format html"),
        ((*ASKED, "--emit", "axolotl", "--format", "csv"), "leave out one of --emit and --format csv"),
        ((*ASKED, "--format", "pdf"), "pdf"),
        (("gpus", "--format", "html"), "html"),
        (("gpus", "--json", "--format", "csv"), "leave out one of --json and --format csv"),
        (("advise", *ASKED[1:], "--explain", "--format", "csv"), "leave out one of --explain and --format csv"),
    ],
)
def test_two_forms_at_once_are_refused(command: Command, words: tuple[str, ...], said: str) -> None:
    done = command(*words)
    assert done.code == 2 and said in done.err and done.out == ""


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists_have_a_row_for_each_record(command: Command, words: tuple[str, ...]) -> None:
    document = json.loads(command(*words, "--json").out)
    records = next(
        document[key] for key in ("gpus", "models", "cards", "advices") if isinstance(document.get(key), list)
    )
    text = command(*words, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if words[0] == "advise":
        assert rows[0]["list"] == "asked" and int(rows[0]["minimum_bytes"]) == document["minimum_bytes"]
        rows = [row for row in rows if row["list"] == "advice"]
    else:
        assert [row["id"] for row in rows] == [record["id"] for record in records]
    for row, record in zip(rows, records, strict=True):
        for key in {"vram_bytes", "parameters", "need_bytes", "minimum_bytes", "saved_bytes"} & set(record):
            assert int(row[key]) == record[key]
    table = command(*words, "--format", "markdown").out
    lines = [line for line in table.splitlines() if line.startswith("|")]
    columns = {line.count("|") for line in lines[: len(records) + 2]}
    assert len(lines) >= len(records) + 2 and len(columns) == 1


def test_sources_of_a_run_are_said_in_the_report(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(
        "base_model: meta-llama/Llama-2-7b-hf\nadapter: lora\nlora_target_linear: true\nsequence_len: 2048\nno_such_key: 1\n"
    )
    words = ("check", "--config", run, "--config-format", "axolotl", "--gpu", "rtx-5070")
    for form in ("html", "markdown"):
        done = command(*words, "--format", form)
        assert done.code == 1 and "no_such_key" in done.out and "no_such_key" in done.err


def test_a_table_needs_none_of_the_other_forms() -> None:
    code = (
        "import sys\nfrom vram_advisor.cli.app import run\nrun(sys.argv[1:])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *ASKED], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "vram_advisor.report.screen" in modules
    assert not {name for name in modules if name.startswith(("vram_advisor.report.formats", "xml", "csv"))}
