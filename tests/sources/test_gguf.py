"""Headers of GGUF files: exact lists in every version and byte order, and everything that can be wrong with them."""

import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from gguf_files import Typed, Writer, write_gguf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vram_advisor.domain.ggml_types import GGML_TYPES
from vram_advisor.sources import file_head
from vram_advisor.sources.gguf import GgufFile, peek_gguf, read_gguf
from vram_advisor.sources.gguf_cursor import Omitted
from vram_advisor.units.errors import BadInput

METADATA: dict[str, object] = {
    "general.architecture": "llama",
    "general.alignment": 32,
    "llama.block_count": 2,
    "llama.rope.freq_base": 500000.0,
    "llama.attention.causal": True,
    "llama.attention.head_count_kv": [8, 0, 8],
    "tokenizer.ggml.tokens": ["<s>", "", "a" * 300],
    "general.file_type": 15,
}
TENSORS = [
    ("token_embd.weight", (96, 512), "Q4_K"),
    ("blk.0.attn_q.weight", (512, 512), "Q6_K"),
    ("blk.0.ffn_up_exps.weight", (4, 64, 512), "MXFP4"),
    ("output_norm.weight", (512,), "F32"),
]


def written(path: Path, version: int = 3, byte_order: str = "little") -> Path:
    return write_gguf(path / "m.gguf", METADATA, TENSORS, version, byte_order)


def seen(file: GgufFile) -> list[tuple[str, tuple[int, ...], str, int]]:
    return [(tensor.name, tensor.shape, tensor.dtype, tensor.nbytes) for tensor in file.tensors]


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_and_byte_order_says_the_same(tmp_path: Path, version: int, byte_order: str) -> None:
    file = read_gguf(written(tmp_path, version, byte_order))
    assert (file.version, file.byte_order, file.architecture) == (version, byte_order, "llama")
    assert seen(file) == [
        ("token_embd.weight", (96, 512), "Q4_K", 96 * 2 * 144),
        ("blk.0.attn_q.weight", (512, 512), "Q6_K", 512 * 2 * 210),
        ("blk.0.ffn_up_exps.weight", (4, 64, 512), "MXFP4", 4 * 64 * 16 * 17),
        ("output_norm.weight", (512,), "F32", 2048),
    ]
    assert file.metadata["llama.attention.head_count_kv"] == (8, 0, 8)
    assert file.metadata["llama.rope.freq_base"] == 500000.0
    assert file.metadata["llama.attention.causal"] is True
    assert file.metadata["tokenizer.ggml.tokens"] == Omitted("texts", 3)
    assert file.offsets[1] == 96 * 2 * 144 and file.data_offset % 32 == 0
    assert file.file_bytes == file.data_offset + file.offsets[-1] + 2048


def test_the_reader_agrees_with_the_gguf_package(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    writer = gguf.GGUFWriter(str(tmp_path / "theirs.gguf"), "llama")
    writer.add_block_count(2)
    writer.add_token_list(["a", "b", "c"])
    writer.add_array("llama.attention.head_count_kv", [8, 0])
    writer.add_tensor("token_embd.weight", numpy.zeros((3, 64), numpy.float16))
    packed = gguf.quants.quantize(numpy.zeros((5, 64), numpy.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = read_gguf(tmp_path / "theirs.gguf")
    assert seen(file) == [("token_embd.weight", (3, 64), "F16", 384), ("blk.0.attn_q.weight", (5, 64), "Q8_0", 340)]
    assert (file.integer("llama.block_count"), file.metadata["llama.attention.head_count_kv"]) == (2, (8, 0))


def test_the_gguf_package_reads_what_the_tests_write(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(written(tmp_path))
    file = read_gguf(tmp_path / "m.gguf")
    theirs = [(t.name, tuple(map(int, reversed(t.shape))), t.tensor_type.name, int(t.n_bytes)) for t in reader.tensors]
    assert theirs == seen(file)
    assert [int(tensor.data_offset) for tensor in reader.tensors] == [file.data_offset + at for at in file.offsets]


def test_types_are_those_of_the_gguf_package() -> None:
    constants = pytest.importorskip("gguf.constants")
    for kind, (block, nbytes) in constants.GGML_QUANT_SIZES.items():
        ours = GGML_TYPES[kind.name]
        # the package counts two scales of 32 bits in Q8_1, which no file holds; ggml has two of 16
        assert (ours.id, ours.block_size, ours.block_bytes) == (kind, block, 36 if kind.name == "Q8_1" else nbytes)


def test_long_values_are_passed_over(tmp_path: Path) -> None:
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.scores": Typed("f32", [0.5] * 5000),
        "tokenizer.chat_template": "x" * 5000,
        "llama.block_count": 2,
    }
    file = read_gguf(write_gguf(tmp_path / "m.gguf", metadata))
    assert file.metadata["tokenizer.ggml.scores"] == Omitted("numbers", 5000)
    assert file.metadata["tokenizer.chat_template"] == Omitted("text", 5000)
    assert file.metadata["llama.block_count"] == 2


def test_a_vocabulary_of_128256_tokens_takes_less_than_150_ms(tmp_path: Path) -> None:
    tokens = [f"token{i}" for i in range(128_256)]
    merges = [f"ab{i} cd" for i in range(280_147)]
    layers = [(f"blk.{i}.w{j}.weight", (4096, 4096), "Q4_K") for i in range(32) for j in range(9)]
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed("i32", [1] * len(tokens)),
        "tokenizer.ggml.merges": merges,
    }
    path = write_gguf(tmp_path / "big.gguf", metadata, layers)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        file = read_gguf(path)
        times.append(time.perf_counter() - start)
    assert file.data_offset > 7e6 and len(file.tensors) == 288
    assert min(times) <= 0.15


def test_a_look_at_the_model_reads_nothing_of_the_vocabulary(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", {**METADATA, "tokenizer.ggml.tokens": ["a" * 100] * 1000})
    path.write_bytes(path.read_bytes()[:20_000])
    assert peek_gguf(path)["llama.block_count"] == 2
    with pytest.raises(BadInput, match="is cut off"):
        read_gguf(path)


def raw(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "raw.gguf"
    path.write_bytes(data)
    return path


def head(tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


def tensor(name: bytes = b"t", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return struct.pack("<Q", len(name)) + name + shape + struct.pack("<IQ", kind, offset)


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


HUGE = 1 << 63


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a GGUF file: it begins with b''"),
        (b"tjgg\x03\0\0\0", "is a GGJT file, a format older than GGUF that llama.cpp stopped reading in August 2023"),
        (b"lmgg", "is a GGML file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "is a pointer of Git LFS, not the model: run git lfs pull",
        ),
        (b"PK\x03\x04zip", "is not a GGUF file: it begins with b'PK"),
        (b"GGUF", "is cut off: its header does not end within its 4 bytes"),
        (b"GGUF" + struct.pack("<I", 4) + bytes(16), "is GGUF of version 4, expected 1, 2 or 3"),
        (head(HUGE, 0), "announces 9,223,372,036,854,775,808 tensors, expected at most 65,536"),
        (head(0, HUGE), "announces 9,223,372,036,854,775,808 keys"),
        (head(5, 0), "is cut off"),
        (head(0, 1) + struct.pack("<Q", HUGE), "the name of a key has 9,223,372,036,854,775,808 bytes"),
        (head(0, 1) + struct.pack("<Q", 0), "the name of a key has 0 bytes"),
        (head(0, 1) + key(b"\xff\xfe", 4, bytes(4)), "the name of a key is not UTF-8"),
        (head(0, 2) + key(b"a", 4, bytes(4)) * 2, "the key 'a' is there twice"),
        (head(0, 1) + key(b"a", 13, bytes(8)), "'a' has a value of the type 13, which does not exist"),
        (head(0, 1) + key(b"a", 8, struct.pack("<Q", HUGE)), "is cut off"),
        (head(0, 1) + key(b"a", 9, struct.pack("<IQ", 8, HUGE)), "'a' lists 9,223,372,036,854,775,808 texts"),
        (head(0, 1) + key(b"a", 9, struct.pack("<IQ", 8, 1 << 22)), "is cut off"),
        (head(0, 1) + key(b"a", 9, struct.pack("<IQQ", 8, 2, HUGE)), "is cut off"),
        (head(0, 1) + key(b"a", 9, struct.pack("<IQ", 5, HUGE)), "is cut off"),
        (head(0, 1) + key(b"a", 9, struct.pack("<IQ", 9, 1)), "'a' lists values of the type 9, expected numbers or"),
        (head(0, 1) + key(b"general.alignment", 4, struct.pack("<I", 24)), "general.alignment is 24, expected a power"),
        (head(0, 1) + key(b"general.alignment", 4, bytes(4)), "general.alignment is 0, expected a power of two"),
        (head(1) + tensor(dims=(1,) * 5), "tensor 't' has 5 dimensions, expected at most 4"),
        (head(1) + tensor(dims=(HUGE, HUGE, HUGE)), "is cut off: its tensors end at"),
        (head(1) + tensor(dims=(2**64 - 32,)), "is cut off: its tensors end at"),
        (head(1) + tensor(dims=(33,), kind=2), "'t' has rows of 33, expected a multiple of 32 for Q4_0"),
        (head(1) + tensor(kind=99), "tensor 't' has the type 99, which is none of llama.cpp's"),
        (head(1) + tensor(kind=4), "tensor 't' has the type 4"),
        (head(1) + tensor(offset=1) + bytes(400), "tensor 't' begins at 1, expected a multiple of 32"),
        (head(1) + tensor(offset=HUGE) + bytes(400), "is cut off: its tensors end at"),
        (head(2) + tensor(b"a") + tensor(b"b", offset=128) + bytes(64), "is cut off: its tensors end at"),
        (head(2) + tensor(b"a") + tensor(b"a", offset=128) + bytes(400), "tensor 'a' is there twice"),
        (head(2) + tensor(b"a") + tensor(b"b", offset=96) + bytes(400), "tensor 'b' overlaps the one before it"),
        (head(1) + tensor(b"\x1b[31m" * 3, kind=99), r"tensor '\\x1b\[31m"),
    ],
)
def test_every_refusal_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as caught:
        read_gguf(raw(tmp_path, data))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a file"):
        read_gguf(tmp_path)
    with pytest.raises(BadInput, match="is not there"):
        read_gguf(tmp_path / "none.gguf")


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    file = read_gguf(path)
    for end in (file.file_bytes - 1, file.data_offset + 5000, *range(file.data_offset, -1, -1)):
        os.truncate(path, end)
        with pytest.raises(BadInput):
            read_gguf(path)


def test_an_endless_header_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_head, "LONGEST_HEAD", 1 << 16)
    path = raw(tmp_path, head(0, 1) + key(b"a", 9, struct.pack("<IQ", 8, 1 << 20)))
    with path.open("r+b") as file:
        file.truncate(1 << 34)
    start = time.perf_counter()
    with pytest.raises(BadInput, match="has a header of more than 65,536 bytes, which no model has"):
        read_gguf(path)
    assert time.perf_counter() - start < 1


VALID = Writer().header(METADATA, TENSORS)[0]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, len(VALID) + 64),
)
@example(changes=[(8 + 7, 0x80)], cut=len(VALID))
@example(changes=[(4, 0), (7, 3)], cut=len(VALID))
def test_damaged_headers_are_refused_or_read_but_never_fail(
    tmp_path: Path, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(VALID)
    for place, value in changes:
        data[place] = value
    path = raw(tmp_path, bytes(data[:cut]) + bytes(200_000))
    try:
        file: Any = read_gguf(path)
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert all(item.nbytes >= 0 for item in file.tensors)
