"""Ledgers are told apart by their columns; what is no number is refused by line."""

from pathlib import Path

import pytest

from vram_advisor.accuracy.ledger import read_ledger, readings
from vram_advisor.sources.data_files import data_path
from vram_advisor.units.errors import BadInput

TRAINING = "id,source,model,method,meter,measured_bytes,resolution_bytes,second_meter,second_measured_bytes\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ledger.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("training", "training"),
        ("traces", "traces"),
        ("traces_fresh", "traces"),
        ("traces_hybrids", "traces"),
        ("inference", "inference"),
        ("llamacpp_buffers", "llamacpp_buffers"),
        ("throughput", "throughput"),
        ("gguf_sizes", "gguf_sizes"),
    ],
)
def test_shipped_ledgers_are_known_by_their_columns(name: str, kind: str) -> None:
    ledger = read_ledger(data_path(f"measurements/{name}.csv"))
    assert ledger.kind == kind
    assert ledger.rows


def test_a_row_has_its_own_meter_and_a_second_one(tmp_path: Path) -> None:
    path = written(tmp_path, TRAINING + "r1,lab,llama,lora,reserved,2000,10,allocated,1500\n")
    (row,) = read_ledger(path).rows
    found = readings("training", row)
    assert [(r.meter, r.measured, r.resolution) for r in found] == [("reserved", 2000, 10), ("allocated", 1500, 10)]


def test_a_percentile_of_steps_and_an_unknown_meter_are_not_scored(tmp_path: Path) -> None:
    path = written(tmp_path, TRAINING + "r1,lab,llama,lora,reserved_p99,2000,10,,\nr2,lab,llama,lora,,2000,10,,\n")
    assert [readings("training", row) for row in read_ledger(path).rows] == [(), ()]


def test_buffers_of_llama_cpp_are_also_summed() -> None:
    ledger = read_ledger(data_path("measurements/llamacpp_buffers.csv"))
    *parts, total = readings(ledger.kind, ledger.rows[0])
    assert total.meter == "total_gpu"
    assert total.measured == sum(part.measured for part in parts)


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf", "1e99"])
def test_words_where_numbers_belong_are_refused_by_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, TRAINING + f"r1,lab,llama,lora,reserved,{text},10,,\n")
    with pytest.raises(BadInput, match=f"line 2: measured_bytes is '{text}', where a number belongs"):
        read_ledger(path)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01"])
def test_a_file_with_other_columns_is_no_ledger(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="ledger"):
        read_ledger(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing.csv is not there"):
        read_ledger(tmp_path / "missing.csv")
