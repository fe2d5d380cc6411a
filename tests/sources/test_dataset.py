"""Lengths of the examples of a dataset."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from vram_advisor.sources.dataset import read_lengths
from vram_advisor.units.errors import BadInput


@pytest.fixture
def folder_of_a_model(tmp_path: Path) -> Path:
    """With a tokenizer that takes a word for a token."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text("{}")
    return folder


def written(tmp_path: Path, *lines: object) -> Path:
    file = tmp_path / "data.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return file


def test_whole_numbers_are_lengths(tmp_path: Path) -> None:
    lengths = read_lengths(written(tmp_path, "12", "", "900", "7"), "7b")
    assert (lengths.tokens, lengths.how) == ((12, 900, 7), "as the file says")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"text": "one two three"}, 3),
        ({"prompt": "one two", "completion": "three four"}, 4),
        ({"instruction": "one", "input": "", "output": "two"}, 2),
        ({"messages": [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}]}, 3),
        ({"conversations": [{"from": "human", "value": "one"}], "id": "a b c d"}, 1),
        ({"input_ids": [5, 6, 7, 8], "text": "one"}, 4),
        ({"num_tokens": 77, "text": "one"}, 77),
    ],
    ids=["text", "prompt", "alpaca", "messages", "sharegpt", "tokens", "counted"],
)
def test_records_of_the_usual_forms(tmp_path: Path, folder_of_a_model: Path, record: object, words: int) -> None:
    lengths = read_lengths(written(tmp_path, record), str(folder_of_a_model))
    assert lengths.tokens == (words,)


def test_a_list_of_records_over_several_lines(tmp_path: Path, folder_of_a_model: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text(json.dumps([{"text": "one two"}, {"text": "three"}], indent=2))
    assert read_lengths(file, str(folder_of_a_model)).tokens == (2, 1)


def test_lines_of_text_are_examples(tmp_path: Path, folder_of_a_model: Path) -> None:
    lengths = read_lengths(written(tmp_path, "one two three", "four"), str(folder_of_a_model / "config.json"))
    assert (lengths.tokens, lengths.how) == ((3, 1), "by the tokenizer of the model")


def test_without_a_tokenizer_characters_are_counted_and_that_is_said(tmp_path: Path) -> None:
    lengths = read_lengths(written(tmp_path, {"text": "x" * 4001}), "llama-3.1-8b")
    assert lengths.tokens == (1001,)
    assert "at 4 characters per token" in lengths.how


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "has no examples"),
        (("{}",), "has no examples with text"),
        (("12", "many"), "example 2 is 'many', expected a length in tokens"),
        (('{"text": "a"}', "{broken"), "example 2 is no JSON"),
        (("[1, 2",), "is no JSON"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_lengths(written(tmp_path, *lines), "7b")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(BadInput, match="is no text in UTF-8"):
        read_lengths(file, "7b")
    with pytest.raises(BadInput, match="No such file or directory"):
        read_lengths(tmp_path / "none.txt", "7b")
