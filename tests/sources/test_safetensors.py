"""Headers of safetensors files: exact lists, and everything that can be wrong with them."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vram_advisor.domain.architectures import build
from vram_advisor.domain.tensors import count_parameters, tensors
from vram_advisor.sources.safetensors import read_checkpoint, read_header, read_model
from vram_advisor.units.errors import BadInput

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 256,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
BYTES = {"BF16": 2, "F32": 4, "U8": 1, "F16": 2}
Shapes = dict[str, tuple[int, ...]]


def numel(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def weights(config: dict[str, Any]) -> Shapes:
    """Names and shapes of a model, one per layer."""
    model = build(config)
    found: Shapes = {}
    for tensor in tensors(model):
        for layer in [layer for layer, kind in enumerate(model.layer_kinds) if kind == tensor.block] or [0]:
            found[tensor.name.format(layer=layer)] = tensor.shape
    return found


def header(shapes: Shapes, dtype: str = "BF16") -> tuple[dict[str, Any], int]:
    """A header and the size of its data [B]."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in shapes.items():
        size = numel(shape) * BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    return entries, place


def write(file: Path, shapes: Shapes, dtype: str = "BF16") -> Path:
    return write_raw(file, *header(shapes, dtype))


def write_raw(file: Path, entries: object, data_bytes: int) -> Path:
    """A file whose data is a hole: only the header is ever read."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    with file.open("wb") as data:
        data.write(struct.pack("<Q", len(text)) + text)
        data.truncate(8 + len(text) + data_bytes)
    return file


def test_names_dtypes_shapes_and_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    numpy = pytest.importorskip("numpy")
    file = tmp_path / "small.safetensors"
    library.save_file({"b": numpy.zeros((2, 3), "float32"), "a": numpy.zeros((5,), "uint8")}, str(file))
    found = {tensor.name: (tensor.dtype, tensor.shape, tensor.nbytes) for tensor in read_header(file)}
    assert found == {"a": ("U8", (5,), 5), "b": ("F32", (2, 3), 24)}


def test_a_lone_file_with_llama_names_is_understood_and_says_what_it_cannot_know(tmp_path: Path) -> None:
    file = write(tmp_path / "tiny.safetensors", weights(CONFIG))
    model = read_model(file)
    assert count_parameters(model) == count_parameters(build(CONFIG)) == read_checkpoint(file).numel
    assert (model.hidden_size, model.num_hidden_layers, model.vocab_size) == (64, 3, 256)
    assert model.stored_bytes == (("BF16", 2 * count_parameters(model)),)
    assert any("head_dim is not in the file" in note for note in model.notes)


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "olmo2", "gemma2"])
def test_biases_and_norms_are_inferred(tmp_path: Path, model_type: str) -> None:
    config = {**CONFIG, "model_type": model_type, "head_dim": 16, "tie_word_embeddings": True}
    model = read_model(write(tmp_path / "tiny.safetensors", weights(config)))
    assert count_parameters(model) == count_parameters(build(config))
    assert model.blocks[0].num_norms == build(config).blocks[0].num_norms


def test_a_folder_takes_dimensions_from_its_configuration_and_bytes_from_its_headers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    shapes = weights(CONFIG)
    names = sorted(shapes)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for part, held in parts.items():
        write(tmp_path / part, {name: shapes[name] for name in held}, "F32")
    whole = read_model(tmp_path)
    index = {"weight_map": {name: part for part, held in parts.items() for name in held}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_model(tmp_path) == whole
    assert (whole.native_dtype, whole.notes) == ("fp32", ())
    assert whole.stored_bytes == (("F32", 4 * count_parameters(whole)),)
    assert [tensor.shape for tensor in read_checkpoint(tmp_path).tensors] == [
        shapes[tensor.name] for tensor in read_checkpoint(tmp_path).tensors
    ]


def test_a_difference_between_configuration_and_headers_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "tie_word_embeddings": True}))
    file = write(tmp_path / "model.safetensors", weights(CONFIG))
    assert any("tied output layer is stored a second time" in note for note in read_model(tmp_path).notes)
    write(file, {**weights(CONFIG), "mtp.layers.0.weight": (7, 5)})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert any("35 more" in note for note in read_model(file).notes)
    held = weights(CONFIG)
    del held["model.norm.weight"]
    write(file, held)
    assert any("64 are missing" in note for note in read_model(tmp_path).notes)


def test_a_tower_is_counted_from_its_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llava", "text_config": CONFIG, "vision_config": {"hidden_size": 8}})
    )
    write(tmp_path / "model.safetensors", {**weights(CONFIG), "vision_tower.layers.0.weight": (8, 8)})
    model = read_model(tmp_path)
    assert model.tower_parameters == 64
    assert model.notes == ()


def test_packed_weights_are_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write(tmp_path / "model.safetensors", weights(CONFIG), "U8")
    assert any("packs quantized weights" in note for note in read_model(tmp_path).notes)
    (tmp_path / "config.json").unlink()
    with pytest.raises(BadInput, match="packs quantized weights: put its config.json beside it"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ({"transformer.h.0.attn.c_attn.weight": (4, 4)}, "do not tell the model"),
        ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 64)}, "adapter, not a model"),
        ({}, "holds no tensors"),
        ({"model.embed_tokens.weight": (256, 64), "model.layers.1.x.weight": (4,)}, "some of the layers"),
        ({"model.embed_tokens.weight": (256, 64), "model.layers.0.a.weight": (4,), "model.layers.1.b.weight": (4,)},
         "differ from each other"),
        ({**weights(CONFIG), "model.layers.0.self_attn.q_proj.weight": (65, 64),
          "model.layers.1.self_attn.q_proj.weight": (65, 64), "model.layers.2.self_attn.q_proj.weight": (65, 64)},
         "no width of a head divides 65 and 32"),
        ({**weights(CONFIG), "surprise": (3,)}, "holds .* numbers, the configuration counts"),
    ],
)  # fmt: skip
def test_what_names_cannot_tell_is_refused(tmp_path: Path, shapes: Shapes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_model(write(tmp_path / "lone.safetensors", shapes))


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("entries", "data_bytes", "sentence"),
    [
        (b"", 0, "is not JSON"),
        (b"[1]", 0, "expected an object"),
        (b'{"a": NaN}', 0, "NaN"),
        (b"[" * 100_000, 0, "nested too deeply"),
        ({"a": 1}, 0, "'a' is not an object"),
        ({"a": entry(dtype=5)}, 8, "'a' has no dtype"),
        ({"a": entry(shape="2")}, 8, "'a' has no shape"),
        ({"a": entry(shape=[-2])}, 8, "'a' has no shape"),
        ({"a": entry(shape=[2**60])}, 8, "'a' has no shape"),
        ({"a": entry(offsets=[0])}, 8, "lies outside the file"),
        ({"a": entry(offsets=[0, 80])}, 8, "lies outside the file, which has 8 bytes of data"),
        ({"a": entry(offsets=[8, 0])}, 8, "ends before it begins"),
        ({"a": entry(offsets=[-8, 0])}, 8, "lies outside"),
        ({"a": entry(shape=[3])}, 8, "takes 8 bytes, its shape and dtype ask for 12"),
        ({"a": entry(), "b": entry()}, 8, "overlaps the one before it"),
        ({"a": entry(offsets=[4, 12])}, 12, "leaves a gap"),
        ({"a": entry()}, 9, "has 9 bytes of data, its header describes 8"),
    ],
)
def test_a_broken_header_is_one_sentence(tmp_path: Path, entries: object, data_bytes: int, sentence: str) -> None:
    file = write_raw(tmp_path / "broken.safetensors", entries, data_bytes)
    with pytest.raises(BadInput, match=sentence) as caught:
        read_header(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has 0 bytes"),
        (b"1234567", "has 7 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", r"announces a header of 9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 100_000_001) + b"{}", "announces a header of 100,000,001 bytes"),
        (struct.pack("<Q", 3) + b"{}", "is cut off: its header has 3 bytes, the file 10"),
        (b"PK\x03\x04" + b"\0" * 60, "is not JSON|announces|cut off"),
        (b"version https://git-lfs.github.com/spec/v1\n", "announces"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        read_model(file)


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ({}, "weight_map is missing"),
        ({"weight_map": []}, "weight_map is missing"),
        ({"weight_map": {"a": "../secret.safetensors"}}, "names '../secret.safetensors', expected a .safetensors file"),
        ({"weight_map": {"a": "weights.bin"}}, "expected a .safetensors file of the folder"),
        ({"weight_map": {"a": 3}}, "names '3'"),
        ({"weight_map": {"a": "gone.safetensors"}}, "gone.safetensors is not in the folder"),
    ],
)
def test_a_broken_index_is_one_sentence(tmp_path: Path, places: object, sentence: str) -> None:
    write(tmp_path / "model.safetensors", {"a": (2,)})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(places))
    with pytest.raises(BadInput, match=sentence):
        read_model(tmp_path)


def test_the_same_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", {"x": (2,)})
    write(tmp_path / "b.safetensors", {"x": (2,)})
    with pytest.raises(BadInput, match="x is in another file"):
        read_checkpoint(tmp_path)
    with pytest.raises(BadInput, match=r"has no \.safetensors file"):
        read_checkpoint(tmp_path / "..")


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 600))
def test_any_damage_is_a_list_or_one_sentence(
    position: int, value: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = write(tmp_path_factory.getbasetemp() / "fuzz.safetensors", {"a.weight": (2, 3), "b.weight": (4,)})
    data = bytearray(file.read_bytes())
    data[position % len(data)] = value
    file.write_bytes(bytes(data[: len(data) - cut % len(data)]))
    try:
        assert all(tensor.nbytes >= 0 for tensor in read_checkpoint(file).tensors)
    except BadInput as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(
    entries=st.dictionaries(
        st.text(max_size=4),
        st.fixed_dictionaries(
            {},
            optional={
                "dtype": st.sampled_from(["F32", "F4", "??", None]),
                "shape": st.lists(st.integers(-1, 9), max_size=3) | st.none(),
                "data_offsets": st.lists(st.integers(-1, 64), max_size=3),
            },
        ),
        max_size=3,
    )
)
def test_any_header_is_a_list_or_one_sentence(
    entries: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = write_raw(tmp_path_factory.getbasetemp() / "fuzzed.safetensors", entries, 32)
    try:
        read_model(file)
    except BadInput as error:
        assert "\n" not in str(error)
