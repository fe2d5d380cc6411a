"""Long vocabularies are leapt over: what is read behind them is what a walk from text to text reads."""

import random
from pathlib import Path

import pytest
from gguf_files import Typed, write_gguf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vram_advisor.sources import gguf_cursor
from vram_advisor.sources.file_head import FileHead, head_of_file
from vram_advisor.sources.gguf import GgufFile, parse, parse_gguf, read_gguf
from vram_advisor.sources.gguf_cursor import Cursor
from vram_advisor.units.errors import BadInput

LAYERS = [(f"blk.{i}.{name}.weight", (64, 256), "Q4_K") for i in range(8) for name in ("attn_q", "ffn_up")]
Texts = list[str]


def vocabulary(count: int, seed: int = 0) -> Texts:
    words = random.Random(seed)
    return ["x" * words.choice((1, 2, 3, 4, 5, 6, 7, 8, 12)) + words.choice("abcé") for _ in range(count)]


def with_tokens(path: Path, tokens: Texts, merges: Texts | None = None, types: bool = True) -> Path:
    """A model as llama.cpp's converter writes it."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 8,
        "tokenizer.ggml.tokens": tokens,
        **({"tokenizer.ggml.token_type": Typed("i32", [1] * len(tokens))} if types else {}),
        **({"tokenizer.ggml.merges": merges} if merges else {}),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.eos_token_id": 2,
        "general.file_type": 15,
    }
    return write_gguf(path, metadata, LAYERS)


def walked(path: Path) -> GgufFile:
    with head_of_file(path) as head:
        return parse(head)


def same(one: GgufFile, other: GgufFile) -> bool:
    parts = ("version", "byte_order", "metadata", "tensors", "offsets", "file_bytes", "data_offset")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the lists that were walked through."""
    found: list[int] = []
    walk = Cursor.walk_texts

    def counted(self: Cursor, count: int) -> None:
        found.append(count)
        walk(self, count)

    monkeypatch.setattr(Cursor, "walk_texts", counted)
    return found


@pytest.mark.parametrize("count", [5_000, 32_000, 128_256])
def test_a_leap_reads_what_a_walk_reads(tmp_path: Path, walks: list[int], count: int) -> None:
    path = with_tokens(tmp_path / "m.gguf", vocabulary(count), [f"{text} t" for text in vocabulary(2 * count, 1)])
    file = read_gguf(path)
    assert walks == []
    assert same(file, walked(path))


def test_a_leap_looks_at_little_of_the_file(tmp_path: Path) -> None:
    path = with_tokens(tmp_path / "m.gguf", vocabulary(128_256), [f"{text} t" for text in vocabulary(280_147, 1)])
    data = path.read_bytes()
    looked = 0

    def fetch(begin: int, end: int) -> bytes:
        nonlocal looked
        looked += end - begin
        return data[begin:end]

    file = parse_gguf(FileHead(fetch, len(data), "m", first=1 << 14, at_hand=True))
    assert file.data_offset > 6e6 and looked < 4e5


@pytest.mark.parametrize(
    ("tokens", "merges", "types"),
    [
        # one list right behind the other looks like one list
        (vocabulary(6_000), ["a b"] * 6_000, False),
        (["a"] * 4_000 + [""] * 4_000 + ["b"] * 100, None, True),
        ([""] * 8_000, None, True),
        (["a" * 3_000] * 5_000, None, True),
        (["general.name"] * 5_000, None, True),
        (vocabulary(6_000) + ["\0" * 40] * 3, None, True),
        (vocabulary(6_000), None, False),
    ],
    ids=["no types", "empty texts", "all empty", "long texts", "like keys", "zeros", "numbers behind"],
)
def test_an_unusual_vocabulary_is_read_too(tmp_path: Path, tokens: Texts, merges: Texts | None, types: bool) -> None:
    path = with_tokens(tmp_path / "m.gguf", tokens, merges, types)
    assert same(read_gguf(path), walked(path))


def test_what_does_not_hold_behind_a_leap_is_walked(tmp_path: Path, walks: list[int]) -> None:
    # two texts that are, together, a key and its value: as if the list ended before them
    false = "tokenizer.ggml.unknown_token_id"
    tokens = [*vocabulary(5_000), false, "\0" * (1 << 11), "x" * 8]
    path = with_tokens(tmp_path / "m.gguf", tokens)
    file = read_gguf(path)
    assert same(file, walked(path)) and 5_003 in walks


def test_a_file_with_a_gap_between_its_tensors_is_walked(tmp_path: Path, walks: list[int]) -> None:
    path = with_tokens(tmp_path / "m.gguf", vocabulary(6_000))
    place = walked(path)
    walks.clear()
    header = bytearray(path.read_bytes()[: place.data_offset])
    name = LAYERS[-1][0].encode()
    at = header.index(name) + len(name) + 4 + 2 * 8 + 4
    header[at : at + 8] = (place.offsets[-1] + 1024).to_bytes(8, "little")
    with path.open("r+b") as file:
        file.write(header)
        file.truncate(place.file_bytes + 1024)
    assert read_gguf(path).offsets[-1] == place.offsets[-1] + 1024
    assert walks == [6_000]


def small_file(tmp_path: Path) -> bytes:
    return with_tokens(tmp_path / "whole.gguf", vocabulary(300), ["a b"] * 500).read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_read_as_a_walk_reads_it(tmp_path: Path, data: st.DataObject) -> None:
    whole = small_file(tmp_path)
    body = bytearray(whole)
    header = whole.index(LAYERS[-1][0].encode()) + 80
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, header - 1))] = data.draw(st.sampled_from((0, 1, 8, 9, 32, 127, 128, 255)))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(body[: data.draw(st.sampled_from((len(body), header, header // 2)))])
    long_list, gguf_cursor.LONG_LIST = gguf_cursor.LONG_LIST, 16
    try:
        try:
            expected: GgufFile | str = walked(path)
        except BadInput as error:
            expected = str(error)
        try:
            found: GgufFile | str = read_gguf(path)
        except BadInput as error:
            found = str(error)
    finally:
        gguf_cursor.LONG_LIST = long_list
    if isinstance(found, str):
        assert found == expected
    elif isinstance(expected, str):
        # damage that a leap passed over: everything behind it is whole
        assert found.data_offset + sum(tensor.nbytes for tensor in found.tensors) <= len(body)
    else:
        assert found.tensors == expected.tensors
