"""Datasets that are large, odd or hostile, and Parquet."""

import json
import sys
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from vram_advisor.sources import dataset
from vram_advisor.sources.dataset import read_lengths
from vram_advisor.units.errors import BadInput, Missing

ROWS = [
    {"messages": [{"role": "user", "content": "x" * 400}, {"role": "assistant", "content": "y" * 399}]},
    {"messages": [{"role": "user", "content": "x" * 8}, {"role": "assistant", "content": "y" * 3}]},
]


def test_parquet_is_read_as_the_records_that_it_holds(tmp_path: Path) -> None:
    table, lines = tmp_path / "data.parquet", tmp_path / "data.jsonl"
    parquet.write_table(arrow.Table.from_pylist(ROWS), table)
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert read_lengths(table, "llama-3.1-8b").tokens == read_lengths(lines, "llama-3.1-8b").tokens == (200, 3)


def test_token_lists_of_parquet_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    parquet.write_table(arrow.Table.from_pylist([{"input_ids": [1, 2, 3]}, {"input_ids": [4]}]), file)
    assert read_lengths(file, "7b").tokens == (3, 1)


def test_a_damaged_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    file.write_bytes(b"PAR1" + b"\x00" * 100)
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        read_lengths(file, "7b")


def test_without_pyarrow_parquet_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.parquet"
    parquet.write_table(arrow.Table.from_pylist(ROWS), file)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Missing, match="needs pyarrow: pip install pyarrow"):
        read_lengths(file, "7b")


def test_a_line_of_a_million_tokens_is_one_example(tmp_path: Path) -> None:
    file = tmp_path / "data.txt"
    file.write_text("short\n" + "word" * 1_000_000 + "\n")
    assert read_lengths(file, "llama-3.1-8b").tokens == (2, 1_000_000)


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_of_more_examples_than_are_read_the_share_is_said(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MOST_EXAMPLES", 25)
    file = tmp_path / "data"
    rows = [{"text": "abcd" * 10}] * 100
    if form == "parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lengths = read_lengths(file, "llama-3.1-8b")
    assert lengths.tokens == (10,) * 25
    assert lengths.share == 0.25


def test_a_file_that_is_read_whole_has_the_share_one(tmp_path: Path) -> None:
    file = tmp_path / "data.txt"
    file.write_text("one\ntwo\n")
    assert read_lengths(file, "7b").share == 1.0


def test_one_list_that_cannot_be_streamed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "LARGEST_LIST", 10)
    file = tmp_path / "data.json"
    file.write_text(json.dumps([{"text": "one two"}], indent=2))
    with pytest.raises(BadInput, match="one JSON list of more than 1 GiB: give one record per line"):
        read_lengths(file, "7b")


@pytest.mark.parametrize("depth", [900, 960, 990, 100_000])
def test_text_nested_without_end_is_read_or_one_sentence(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text('{"text": ' + "[" * depth + '"abcdefgh"' + "]" * depth + "}\n")
    try:
        assert read_lengths(file, "7b").tokens == (2,)
    except BadInput as error:
        assert "example" in str(error)


def test_a_file_of_zeros_is_read_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "LONGEST_LINE", 1 << 20)
    file = tmp_path / "data.txt"
    with file.open("wb") as opened:
        opened.truncate(10 << 30)
    with pytest.raises(BadInput, match="has a line of more than 1,048,576 characters"):
        read_lengths(file, "7b")
