"""Models in several files."""

from pathlib import Path

import pytest
from gguf_files import Typed, write_gguf

from vram_advisor.sources.gguf_split import read_parts, stem_of
from vram_advisor.units.errors import BadInput


def write_part(folder: Path, number: int, count: int, tensors: int = 4, **changes: object) -> Path:
    metadata: dict[str, object] = {
        "split.no": Typed("u16", number - 1),
        "split.count": Typed("u16", count),
        "split.tensors.count": Typed("i32", tensors),
    }
    if number == 1:
        metadata["general.architecture"] = "llama"
    metadata |= {key.replace("_", "."): value for key, value in changes.items()}
    names = [(f"blk.{number}.ffn_up.weight", (64, 64), "F16"), (f"blk.{number}.ffn_down.weight", (64, 64), "Q8_0")]
    return write_gguf(folder / f"model-Q8_0-{number:05d}-of-{count:05d}.gguf", metadata, names)


def test_any_part_stands_for_all_of_them(tmp_path: Path) -> None:
    parts = [write_part(tmp_path, number, 2) for number in (1, 2)]
    for part in parts:
        files = read_parts(part)
        assert [file.name for file in files] == [str(path) for path in parts]
        assert [tensor.nbytes for file in files for tensor in file.tensors] == [8192, 4352] * 2
        assert files[0].architecture == "llama"


def test_a_whole_file_is_its_only_part(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "whole.gguf", {"general.architecture": "llama"})
    assert [file.name for file in read_parts(path)] == [str(path)]


def test_the_name_of_a_model_is_that_of_its_files_without_the_part(tmp_path: Path) -> None:
    assert stem_of("model-Q8_0-00001-of-00002.gguf") == "model-Q8_0"
    assert stem_of("Qwen3-8B-Q4_K_M.GGUF") == "Qwen3-8B-Q4_K_M"


def test_what_is_wrong_with_the_parts_is_one_sentence(tmp_path: Path) -> None:
    first = write_part(tmp_path, 1, 2)
    with pytest.raises(BadInput, match=r"model-Q8_0-00002-of-00002\.gguf is not there"):
        read_parts(first)
    write_part(tmp_path, 2, 2, split_no=Typed("u16", 0))
    with pytest.raises(BadInput, match="is part 1 by its metadata, 2 by its name"):
        read_parts(first)
    write_part(tmp_path, 2, 2, split_count=Typed("u16", 3))
    with pytest.raises(BadInput, match="is one of 3 parts by its metadata, 2 by its name"):
        read_parts(first)
    write_part(tmp_path, 2, 2)
    write_part(tmp_path, 1, 2, tensors=5)
    with pytest.raises(BadInput, match="announces 5 tensors, its 2 parts hold 4"):
        read_parts(first)
    write_part(tmp_path, 2, 2).write_bytes(write_part(tmp_path, 1, 2, split_no=Typed("u16", 1)).read_bytes())
    write_part(tmp_path, 1, 2)
    with pytest.raises(BadInput, match=r"tensor 'blk\.1\.ffn_up\.weight' is in .*00001-of-00002\.gguf too"):
        read_parts(first)


def test_a_part_under_another_name_says_how_parts_are_named(tmp_path: Path) -> None:
    path = write_part(tmp_path, 1, 2).rename(tmp_path / "mine.gguf")
    with pytest.raises(
        BadInput, match="2 parts by its metadata, 1 by its name; the parts are named NAME-00001-of-00002"
    ):
        read_parts(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("m-00003-of-00002.gguf", "is part 00003 of 00002, which cannot be"),
        ("m-00000-of-00002.gguf", "is part 00000 of 00002, which cannot be"),
        ("m-00001-of-99999.gguf", "is one of 99,999 parts, expected at most 1,024"),
    ],
)
def test_impossible_numbers_of_parts_are_refused(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_parts(tmp_path / name)
